package image

import (
	"archive/zip"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// python is the version of the images' Python, Debian 12's.
const python = "3.11"

// wheels downloads the wheels that a requirements file pins, with the hashes
// it has, whatever Python the host has. The result is sorted by name.
func wheels(ctx context.Context, work string, requirements []byte) ([]string, error) {
	machine := map[string]string{"amd64": "x86_64"}[goarch]
	if machine == "" {
		return nil, fmt.Errorf("there are no wheels for %s: build the inference image on an amd64 machine", goarch)
	}
	file := filepath.Join(work, "requirements.txt")
	if err := os.WriteFile(file, requirements, 0o644); err != nil {
		return nil, err
	}
	dir := filepath.Join(work, "wheels")
	args := []string{
		"-m", "pip", "download", "--quiet", "--only-binary=:all:", "--no-deps", "--require-hashes",
		"--python-version", python, "--implementation", "cp", "--dest", dir, "-r", file,
	}
	for _, platform := range []string{"manylinux_2_28_", "manylinux_2_27_", "manylinux_2_17_", "manylinux2014_"} {
		args = append(args, "--platform", platform+machine)
	}
	if err := run(ctx, work, nil, "python3", args...); err != nil {
		return nil, err
	}
	return filepath.Glob(filepath.Join(dir, "*.whl"))
}

// unzip hands each file of a wheel to put, if want holds for its path.
func unzip(wheel string, want func(name string) bool, put func(name string, data []byte)) error {
	r, err := zip.OpenReader(wheel)
	if err != nil {
		return fmt.Errorf("open %s: %w", filepath.Base(wheel), err)
	}
	defer r.Close()
	for _, f := range r.File {
		if f.FileInfo().IsDir() || !want(f.Name) {
			continue
		}
		data, err := contents(f)
		if err != nil {
			return fmt.Errorf("read %s of %s: %w", f.Name, filepath.Base(wheel), err)
		}
		put(f.Name, data)
	}
	return nil
}

func contents(f *zip.File) ([]byte, error) {
	r, err := f.Open()
	if err != nil {
		return nil, err
	}
	defer r.Close()
	return io.ReadAll(r)
}
