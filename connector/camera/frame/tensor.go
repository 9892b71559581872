package frame

import (
	"encoding/binary"
	"fmt"
	"image"
	"math"

	"golang.org/x/image/draw"
)

// Pixels is how a model takes the values of pixels.
type Pixels struct {
	// BGR has blue first, as OpenCV has it, else red.
	BGR bool
	// Scale is what values of 0 to 255 are multiplied by for a model that takes
	// floats.
	Scale float64
}

// Tensor makes the input of a model of a picture: resized to its shape, without
// regard to the ratio of the sides, in its datatype (UINT8 or FP32). The shape
// that it returns has no -1.
func Tensor(img image.Image, shape []int64, datatype string, p Pixels) (data []byte, exact []int64, err error) {
	bounds := img.Bounds()
	l, err := layoutOf(shape, bounds.Dy(), bounds.Dx())
	if err != nil {
		return nil, nil, err
	}
	var put func(i int, value uint8)
	n := l.height * l.width * l.channels
	switch datatype {
	case "UINT8":
		data = make([]byte, n)
		put = func(i int, value uint8) { data[i] = value }
	case "FP32":
		data = make([]byte, 4*n)
		put = func(i int, value uint8) {
			binary.LittleEndian.PutUint32(data[4*i:], math.Float32bits(float32(float64(value)*p.Scale)))
		}
	default:
		return nil, nil, fmt.Errorf("datatype %s is no picture's: only models that take UINT8 or FP32 can be shown frames", datatype)
	}
	pixels := image.NewRGBA(image.Rect(0, 0, l.width, l.height))
	draw.ApproxBiLinear.Scale(pixels, pixels.Bounds(), img, bounds, draw.Src, nil)
	for y := range l.height {
		for x := range l.width {
			c := pixels.RGBAAt(x, y)
			values := [3]uint8{c.R, c.G, c.B}
			switch {
			case l.channels == 1:
				values[0] = grey(c.R, c.G, c.B)
			case p.BGR:
				values[0], values[2] = values[2], values[0]
			}
			for channel := range l.channels {
				put(l.index(x, y, channel), values[channel])
			}
		}
	}
	return data, l.shape, nil
}

// grey is the luma of ITU-R BT.601, in thousandths.
func grey(r, g, b uint8) uint8 {
	return uint8((299*int(r) + 587*int(g) + 114*int(b) + 500) / 1000)
}
