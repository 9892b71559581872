package inference

import "embed"

// ClientRequirements pins the wheels that the client imports, for pip.
//
//go:embed client.txt
var ClientRequirements []byte

// PictureRequirements pins the wheels that carry the client's pictures, for pip.
//
//go:embed pictures.txt
var PictureRequirements []byte

//go:embed client/*.py
var client embed.FS

// Client returns the client's files by name.
func Client() (map[string][]byte, error) { return read(client, "client") }

// Pictures are files in the wheels that carry the client's pictures, by their
// names beside its program.
var Pictures = map[string]string{
	"skimage/data/astronaut.png":                       "pictures/astronaut.png",
	"skimage/data/camera.png":                          "pictures/camera.png",
	"skimage/data/moon.png":                            "pictures/moon.png",
	"skimage/data/page.png":                            "pictures/page.png",
	"rapidocr_openvino/ch_ppocr_rec/ppocr_keys_v1.txt": "alphabet.txt",
}
