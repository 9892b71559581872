package frame

import (
	"fmt"
	"image"
	_ "image/jpeg" // registers the format
	_ "image/png"  // registers the format
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// extensions are those of the files of a folder that are read.
var extensions = []string{".png", ".jpg", ".jpeg"}

// Load reads the images of files, and of folders in the order of their names.
func Load(paths ...string) ([]image.Image, error) {
	var images []image.Image
	for _, path := range paths {
		files, err := list(path)
		if err != nil {
			return nil, err
		}
		for _, f := range files {
			img, err := read(f)
			if err != nil {
				return nil, err
			}
			images = append(images, img)
		}
	}
	return images, nil
}

// list returns a file, or the images of a folder.
func list(path string) ([]string, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("find the frames: %w: give PNG or JPEG files, or a folder of them", err)
	}
	if !info.IsDir() {
		return []string{path}, nil
	}
	entries, err := os.ReadDir(path) // sorted by name
	if err != nil {
		return nil, fmt.Errorf("find the frames: %w", err)
	}
	var files []string
	for _, e := range entries {
		if isImage(e) {
			files = append(files, filepath.Join(path, e.Name()))
		}
	}
	if len(files) == 0 {
		return nil, fmt.Errorf("%s has no %s file: give a folder of frames", path, strings.Join(extensions, ", "))
	}
	return files, nil
}

func isImage(e fs.DirEntry) bool {
	return !e.IsDir() && slices.Contains(extensions, strings.ToLower(filepath.Ext(e.Name())))
}

// maxPixels bounds a frame: more is no camera's.
const maxPixels = 64 << 20

func read(path string) (image.Image, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("read a frame: %w", err)
	}
	defer f.Close()
	size, _, err := image.DecodeConfig(f)
	if err != nil {
		return nil, fmt.Errorf("%s is neither PNG nor JPEG: %w: give images of these formats", path, err)
	}
	if size.Width*size.Height > maxPixels {
		return nil, fmt.Errorf("%s has %d × %d pixels: give frames of at most %d", path, size.Width, size.Height, maxPixels)
	}
	if _, err := f.Seek(0, 0); err != nil {
		return nil, fmt.Errorf("read a frame: %w", err)
	}
	img, _, err := image.Decode(f)
	if err != nil {
		return nil, fmt.Errorf("%s is damaged: %w", path, err)
	}
	return img, nil
}
