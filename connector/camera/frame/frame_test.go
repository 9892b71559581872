package frame

import (
	"bytes"
	"encoding/binary"
	"image"
	"image/color"
	"image/jpeg"
	"image/png"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// flag is red on the left and blue on the right.
func flag(width, height int) image.Image {
	img := image.NewRGBA(image.Rect(0, 0, width, height))
	for y := range height {
		for x := range width {
			c := color.RGBA{R: 200, G: 10, A: 255}
			if x >= width/2 {
				c = color.RGBA{G: 10, B: 100, A: 255}
			}
			img.Set(x, y, c)
		}
	}
	return img
}

func TestTensor(t *testing.T) {
	for name, tt := range map[string]struct {
		shape    []int64
		datatype string
		pixels   Pixels
		want     []float32
		exact    []int64
	}{
		"planes":           {[]int64{1, 3, 1, 2}, "UINT8", Pixels{}, []float32{200, 0, 10, 10, 0, 100}, []int64{1, 3, 1, 2}},
		"pixels":           {[]int64{1, 1, 2, 3}, "UINT8", Pixels{}, []float32{200, 10, 0, 0, 10, 100}, []int64{1, 1, 2, 3}},
		"blue first":       {[]int64{1, 2, 3}, "UINT8", Pixels{BGR: true}, []float32{0, 10, 200, 100, 10, 0}, []int64{1, 2, 3}},
		"floats":           {[]int64{1, 3, 1, 2}, "FP32", Pixels{Scale: .5}, []float32{100, 0, 5, 5, 0, 50}, []int64{1, 3, 1, 2}},
		"grey":             {[]int64{1, 1, 1, 2}, "UINT8", Pixels{}, []float32{66, 17}, []int64{1, 1, 1, 2}},
		"any batch":        {[]int64{-1, 3, 1, 2}, "UINT8", Pixels{}, []float32{200, 0, 10, 10, 0, 100}, []int64{1, 3, 1, 2}},
		"as it is":         {[]int64{1, 3, -1, -1}, "UINT8", Pixels{}, []float32{200, 0, 200, 0, 10, 10, 10, 10, 0, 100, 0, 100}, []int64{1, 3, 2, 2}},
		"enlarged, planes": {[]int64{3, 1, 4}, "UINT8", Pixels{}, []float32{200, 150, 50, 0, 10, 10, 10, 10, 0, 25, 75, 100}, []int64{3, 1, 4}},
	} {
		t.Run(name, func(t *testing.T) {
			data, exact, err := Tensor(flag(2, 2), tt.shape, tt.datatype, tt.pixels)
			if err != nil {
				t.Fatal(err)
			}
			var got []float32
			if tt.datatype == "UINT8" {
				for _, b := range data {
					got = append(got, float32(b))
				}
			} else {
				got = make([]float32, len(data)/4)
				if err := binary.Read(bytes.NewReader(data), binary.LittleEndian, got); err != nil {
					t.Fatal(err)
				}
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("values (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(tt.exact, exact); diff != "" {
				t.Errorf("shape (-want +got):\n%s", diff)
			}
		})
	}
}

func TestNoPicture(t *testing.T) {
	for name, tt := range map[string]struct {
		shape    []int64
		datatype string
		want     string
	}{
		"a list":       {[]int64{1, 1000}, "FP32", "three dimensions"},
		"a batch":      {[]int64{8, 3, 2, 2}, "FP32", "batch of 8"},
		"five colours": {[]int64{1, 5, 2, 2}, "FP32", "neither 3 nor 1 channels"},
		"no side":      {[]int64{1, 3, 0, 2}, "FP32", "a side of 0"},
		"a huge side":  {[]int64{1, 3, 2, 1 << 40}, "FP32", "a side of"},
		"halves":       {[]int64{1, 3, 2, 2}, "FP16", "UINT8 or FP32"},
	} {
		t.Run(name, func(t *testing.T) {
			if _, _, err := Tensor(flag(2, 2), tt.shape, tt.datatype, Pixels{}); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want %q in it", err, tt.want)
			}
		})
	}
}

// write writes frames of a size of their own into a folder.
func write(t *testing.T) (folder string) {
	t.Helper()
	folder = t.TempDir()
	for name, encode := range map[string]func(*os.File) error{
		"2.JPG":  func(f *os.File) error { return jpeg.Encode(f, flag(20, 10), nil) },
		"1.png":  func(f *os.File) error { return png.Encode(f, flag(10, 10)) },
		"3.jpeg": func(f *os.File) error { return jpeg.Encode(f, flag(30, 10), nil) },
		"read":   func(f *os.File) error { _, err := f.WriteString("no image"); return err },
	} {
		f, err := os.Create(filepath.Join(folder, name))
		if err != nil {
			t.Fatal(err)
		}
		if err := encode(f); err != nil {
			t.Fatal(err)
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
	}
	return folder
}

func TestLoad(t *testing.T) {
	folder := write(t)
	images, err := Load(filepath.Join(folder, "3.jpeg"), folder)
	if err != nil {
		t.Fatal(err)
	}
	var widths []int
	for _, img := range images {
		widths = append(widths, img.Bounds().Dx())
	}
	if diff := cmp.Diff([]int{30, 10, 20, 30}, widths); diff != "" {
		t.Errorf("widths (-want +got):\n%s", diff)
	}
	for path, want := range map[string]string{
		filepath.Join(folder, "none"): "give PNG or JPEG files",
		filepath.Join(folder, "read"): "neither PNG nor JPEG",
		t.TempDir():                   "give a folder of frames",
	} {
		if _, err := Load(path); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v, want %q in it", path, err, want)
		}
	}
}

// TestReel: the frames repeat, and each is made once for each model.
func TestReel(t *testing.T) {
	r := NewReel([]image.Image{flag(2, 2), flag(4, 4)}, Pixels{Scale: 1})
	at := func(n int) []byte {
		t.Helper()
		data, _, err := r.Tensor(n, []int64{1, 3, -1, -1}, "UINT8")
		if err != nil {
			t.Fatal(err)
		}
		return data
	}
	if len(at(0)) != 12 || len(at(1)) != 48 || len(at(2)) != 12 {
		t.Errorf("frames of %d, %d and %d bytes", len(at(0)), len(at(1)), len(at(2)))
	}
	if &at(1)[0] != &at(3)[0] {
		t.Error("the frame of the next round is another tensor")
	}
}
