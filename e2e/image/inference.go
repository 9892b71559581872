package image

import (
	"context"
	"maps"
	"path"
	"slices"
	"strings"

	"heteroaccel.io/e2e/inference"
)

const programDir = "opt/inference"

// kinds are the tags that the variants of deploy/registry have; all mean the
// same image here.
var kinds = []string{"cpu", "gpu", "fpga", "npu", "latest"}

// inference is OpenVINO's runtime for Python with the program and its models,
// in layers by how often they change.
func (b *builder) inference(ctx context.Context) (Image, error) {
	models, err := inference.Models()
	if err != nil {
		return Image{}, err
	}
	files, err := inference.Program()
	if err != nil {
		return Image{}, err
	}
	names, links := inferenceNames(models)
	return b.build(ctx, recipe{
		name:  "inference",
		names: names,
		config: config{
			Entrypoint: []string{"/inference"},
			Env:        []string{"PATH=/usr/bin:/bin:/", "PYTHONUNBUFFERED=1"},
			User:       nobody,
			WorkingDir: "/",
		},
		layers: []layer{
			system.layer("system"),
			packages(inference.Requirements),
			{name: "models", from: []any{string(inference.ModelRequirements), models}, fill: func(ctx context.Context, work string) (*tree, error) {
				return picked(ctx, work, inference.ModelRequirements, modelFiles(models))
			}},
			{name: "program", from: []any{files, string(inference.ModelList), links}, fill: func(context.Context, string) (*tree, error) {
				t := newTree()
				for name, data := range files {
					t.add(path.Join(programDir, name), 0o755, data)
				}
				t.add(path.Join(programDir, "models.json"), 0o644, inference.ModelList)
				for _, link := range links {
					t.symlink("/"+path.Join(programDir, inference.Main), link)
				}
				t.directory("tmp", 0o1777)
				return t, nil
			}},
		},
	})
}

// inferenceNames returns the image's names, its own before those that the
// profiles refer to, and the programs' names in it.
func inferenceNames(models map[string]inference.Model) (names, links []string) {
	names = []string{"heteroaccel/inference:" + Version}
	links = []string{"inference"}
	for _, name := range slices.Sorted(maps.Keys(models)) {
		profile := models[name].Inference
		for _, kind := range kinds {
			names = append(names, "heteroaccel/"+profile+":"+kind)
		}
		links = append(links, strings.ReplaceAll(profile, "-", "_"))
	}
	return names, links
}

// modelFiles are the models' files in their wheels, by where the image has them.
func modelFiles(models map[string]inference.Model) map[string]string {
	files := map[string]string{}
	for _, m := range models {
		files[m.File] = path.Join(programDir, "models", path.Base(m.File))
	}
	return files
}
