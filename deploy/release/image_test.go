package main

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
)

// fakes are programs that nobody runs.
func fakes(t *testing.T) map[string]string {
	t.Helper()
	files := map[string]string{}
	for name := range programs {
		files[name] = filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(files[name], []byte("program "+name), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	return files
}

// TestImages: two builds have one digest; each image has the programs and runs them as
// nobody; the archive of one is found under the name that the manifests have, and the
// index has those very images.
func TestImages(t *testing.T) {
	build := func() (map[platform]v1.Image, v1.ImageIndex) {
		images := map[platform]v1.Image{}
		for _, p := range nodes {
			image, err := buildImage(p, fakes(t), "v1.2.3", "abc", at, t.TempDir())
			if err != nil {
				t.Fatal(err)
			}
			images[p] = image
		}
		return images, indexOf(images, nodes)
	}
	images, index := build()
	_, again := build()
	a, err := index.Digest()
	if err != nil {
		t.Fatal(err)
	}
	if b, err := again.Digest(); err != nil || a != b {
		t.Errorf("two builds have the digests %s and %s (%v)", a, b, err)
	}
	list, err := index.IndexManifest()
	if err != nil {
		t.Fatal(err)
	}
	for i, p := range nodes {
		digest, err := images[p].Digest()
		if err != nil {
			t.Fatal(err)
		}
		if m := list.Manifests[i]; m.Digest != digest || m.Platform == nil || m.Platform.String() != p.String() {
			t.Errorf("manifest %d of the index is %v for %v, want %s for %s", i, m.Digest, m.Platform, digest, p)
		}
		config, err := images[p].ConfigFile()
		if err != nil {
			t.Fatal(err)
		}
		if config.OS != p.os || config.Architecture != p.arch || config.Config.User != "65532:65532" || config.Config.Labels["org.opencontainers.image.version"] != "v1.2.3" {
			t.Errorf("the image for %s has the configuration %+v", p, config)
		}
		file := filepath.Join(t.TempDir(), "image.tar")
		if err := writeImage(file, images[p], "v1.2.3"); err != nil {
			t.Fatal(err)
		}
		read, err := tarball.ImageFromPath(file, nil)
		if err != nil {
			t.Fatal(err)
		}
		if manifest := unpack(t, file)["manifest.json"]; !strings.Contains(manifest, `"RepoTags":["heteroaccel/heteroaccel:v1.2.3"]`) {
			t.Errorf("the archive has another name: %s", manifest)
		}
		layers, err := read.Layers()
		if err != nil || len(layers) != 1 {
			t.Fatalf("%d layers: %v", len(layers), err)
		}
		in, err := layers[0].Uncompressed()
		if err != nil {
			t.Fatal(err)
		}
		data, err := io.ReadAll(in)
		if err != nil {
			t.Fatal(err)
		}
		layer := filepath.Join(t.TempDir(), "layer.tar")
		if err := os.WriteFile(layer, data, 0o600); err != nil {
			t.Fatal(err)
		}
		got := unpack(t, layer)
		for name := range programs {
			if got[name] != "-rwxr-xr-x program "+name {
				t.Errorf("the image for %s has %q as %s", p, got[name], name)
			}
		}
		if len(got) != len(programs) {
			t.Errorf("the image for %s has %d files, want %d", p, len(got), len(programs))
		}
	}
	file := filepath.Join(t.TempDir(), "index.tar")
	if err := writeIndex(file, index, "v1.2.3", at, t.TempDir()); err != nil {
		t.Fatal(err)
	}
	files := unpack(t, file)
	if _, ok := files["blobs/sha256/"+a.Hex]; !ok || !strings.Contains(files["index.json"], `"org.opencontainers.image.ref.name": "v1.2.3"`) {
		t.Errorf("the archive of the index lacks it: %s", files["index.json"])
	}
}
