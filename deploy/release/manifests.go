package main

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/kyaml/filesys"
)

// rendered are the kustomizations that a release has rendered, by the end of the
// file's name.
var rendered = map[string]string{
	"":           "deploy/base",
	"-edge":      "deploy/overlays/edge",
	"-standard":  "deploy/overlays/standard",
	"-connector": "deploy/connector",
	"-profiles":  "deploy/registry",
}

// render returns the objects of a kustomization of the tree as YAML.
func render(root, dir string) ([]byte, error) {
	objects, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(filesys.MakeFsOnDisk(), filepath.Join(root, dir))
	if err != nil {
		return nil, fmt.Errorf("render %s: %w", dir, err)
	}
	out, err := objects.AsYaml()
	if err != nil {
		return nil, fmt.Errorf("render %s: %w", dir, err)
	}
	return out, nil
}

// sources are the kustomizations themselves, for whoever makes an overlay, as entries
// under a directory of an archive.
func sources(root, under string) ([]entry, error) {
	var entries []entry
	for _, dir := range []string{"deploy", "certs"} {
		err := filepath.WalkDir(filepath.Join(root, dir), func(path string, d fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			name, err := filepath.Rel(root, path)
			if err != nil {
				return err
			}
			name = filepath.ToSlash(name)
			switch {
			case d.IsDir():
				if name == "deploy/helm" || name == "deploy/release" || name == "deploy/image" || d.Name() == "testdata" {
					return fs.SkipDir
				}
			case filepath.Ext(name) == ".go":
			default:
				entries = append(entries, entry{name: under + "/" + name, mode: 0o644, file: path})
			}
			return nil
		})
		if err != nil {
			return nil, fmt.Errorf("read the manifests: %w", err)
		}
	}
	return entries, nil
}

// chart are the files of the Helm chart, as helm package puts them into an archive.
func chart(root string) ([]entry, error) {
	dir := filepath.Join(root, "deploy/helm/heteroaccel")
	var entries []entry
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		name, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		if strings.HasSuffix(name, ".gotmpl") { // what its README is generated from
			return nil
		}
		entries = append(entries, entry{name: "heteroaccel/" + filepath.ToSlash(name), mode: 0o644, file: path})
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read the chart: %w", err)
	}
	return entries, nil
}

// license is the project's, as an entry.
func license(root, under string) entry {
	return entry{name: under + "LICENSE", mode: 0o644, file: filepath.Join(root, "LICENSE")}
}

// write writes a file of a release.
func write(path string, data []byte) error {
	if err := os.WriteFile(path, data, 0o644); err != nil {
		return fmt.Errorf("write %s: %w", filepath.Base(path), err)
	}
	return nil
}
