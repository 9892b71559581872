package main

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// repository is the image's name in the manifests.
const repository = "heteroaccel/heteroaccel"

// buildImage makes the image of a platform: the programs, and nothing else. Which of
// them runs is the pod's command.
func buildImage(p platform, files map[string]string, version, revision string, at time.Time, dir string) (v1.Image, error) {
	var entries []entry
	for name, file := range files {
		entries = append(entries, entry{name: name, mode: 0o755, file: file})
	}
	path := filepath.Join(dir, p.name()+"-layer.tar")
	if err := writeArchive(path, entries, at); err != nil {
		return nil, err
	}
	layer, err := tarball.LayerFromFile(path, tarball.WithMediaType(types.OCILayer))
	if err != nil {
		return nil, fmt.Errorf("make the layer for %s: %w", p, err)
	}
	base := mutate.MediaType(mutate.ConfigMediaType(empty.Image, types.OCIConfigJSON), types.OCIManifestSchema1)
	image, err := mutate.Append(base, mutate.Addendum{Layer: layer, History: v1.History{Created: v1.Time{Time: at}, CreatedBy: "make release"}})
	if err != nil {
		return nil, err
	}
	config, err := image.ConfigFile()
	if err != nil {
		return nil, err
	}
	config = config.DeepCopy()
	config.OS, config.Architecture, config.Created = p.os, p.arch, v1.Time{Time: at}
	config.Config = v1.Config{
		User: "65532:65532", WorkingDir: "/",
		Labels: map[string]string{
			"org.opencontainers.image.title":       "HeteroAccel",
			"org.opencontainers.image.description": "Webhook, extender, exporter, connector and command line program of HeteroAccel",
			"org.opencontainers.image.version":     version,
			"org.opencontainers.image.revision":    revision,
			"org.opencontainers.image.licenses":    "Apache-2.0",
		},
	}
	return mutate.ConfigFile(image, config)
}

// writeImage writes an image to a file that docker load, ctr images import, kind load
// and k3s take.
func writeImage(path string, image v1.Image, version string) error {
	tag, err := name.NewTag(repository + ":" + version)
	if err != nil {
		return err
	}
	if err := tarball.WriteToFile(path, tag, image); err != nil {
		return fmt.Errorf("write %s: %w", filepath.Base(path), err)
	}
	return nil
}

// indexOf is the index of the images of platforms.
func indexOf(images map[platform]v1.Image, of []platform) v1.ImageIndex {
	index := mutate.IndexMediaType(empty.Index, types.OCIImageIndex)
	for _, p := range of { // in this order, always
		index = mutate.AppendManifests(index, mutate.IndexAddendum{
			Add: images[p], Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: p.os, Architecture: p.arch}},
		})
	}
	return index
}

// writeIndex writes an index as an OCI archive, from which a registry is filled.
func writeIndex(path string, index v1.ImageIndex, version string, at time.Time, dir string) error {
	dir = filepath.Join(dir, "index")
	if err := os.RemoveAll(dir); err != nil {
		return err
	}
	out, err := layout.Write(dir, empty.Index)
	if err == nil {
		err = out.AppendIndex(index, layout.WithAnnotations(map[string]string{"org.opencontainers.image.ref.name": version}))
	}
	if err != nil {
		return fmt.Errorf("write the index: %w", err)
	}
	var entries []entry
	err = filepath.WalkDir(dir, func(file string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		name, err := filepath.Rel(dir, file)
		entries = append(entries, entry{name: filepath.ToSlash(name), mode: 0o644, file: file})
		return err
	})
	if err != nil {
		return err
	}
	return writeArchive(path, entries, at)
}
