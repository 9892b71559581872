package image

import (
	"context"
	"fmt"
	"maps"
	"path"
	"path/filepath"
	"slices"
)

// packagesDir is where Debian's Python looks for packages.
const packagesDir = "usr/lib/python3/dist-packages"

// system is Debian's Python and what a pod's command line may use.
var system = debian{
	Packages: []string{"python3.11-minimal", "libpython3.11-stdlib", "libstdc++6", "bash", "coreutils"},
	Unpack: []string{
		"python3.11-minimal", "libpython3.11-minimal", "libpython3.11-stdlib", "libstdc++6", "libgcc-s1", "libc6", "bash", "coreutils",
		"libtinfo6", "zlib1g", "libexpat1", "libffi8", "libssl3", "libuuid1", "libbz2-1.0", "liblzma5",
	},
	Files: map[string][]string{
		"bash":      {"bin/bash"},
		"coreutils": {"bin/sleep", "bin/cat", "bin/ls", "usr/bin/env"},
	},
	Prune: []string{
		"usr/lib/python3.11/lib2to3/", "usr/lib/python3.11/pydoc_data/", "usr/lib/python3.11/idlelib/",
		"usr/lib/x86_64-linux-gnu/perl-base/", "etc/", "var/",
	},
}

// unneeded are path patterns of what the programs do not use of their wheels:
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

// packages is a layer of wheels as they are imported.
func packages(requirements []byte) layer {
	fill := func(ctx context.Context, work string) (*tree, error) {
		files, err := wheels(ctx, work, requirements)
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
	return layer{name: "wheels", from: []any{string(requirements), python, unneeded}, fill: fill}
}

// picked takes files out of wheels: want has where to put each of them.
func picked(ctx context.Context, work string, requirements []byte, want map[string]string) (*tree, error) {
	archives, err := wheels(ctx, work, requirements)
	if err != nil {
		return nil, err
	}
	t, left := newTree(), maps.Clone(want)
	for _, archive := range archives {
		err := unzip(archive, func(name string) bool { return left[name] != "" }, func(name string, data []byte) {
			t.add(left[name], 0o644, data)
			delete(left, name)
		})
		if err != nil {
			return nil, fmt.Errorf("%s: %w", filepath.Base(archive), err)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(left)) {
		return nil, fmt.Errorf("no wheel of the requirements has %s: take a version that has it", name)
	}
	return t, nil
}
