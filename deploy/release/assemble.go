package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// imageFile is the name of the image's archive for a platform.
func imageFile(version string, p platform) string {
	return "heteroaccel-" + version + "-image-" + p.name() + ".tar"
}

// assemble writes a release to a directory, which is there once it is whole.
func (r *release) assemble(ctx context.Context, out string) error {
	work, err := os.MkdirTemp("", "heteroaccel-release-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(work)
	half, err := replaceable(out)
	if err != nil {
		return err
	}
	defer os.RemoveAll(half)
	compiled, err := r.compile(ctx, work)
	if err != nil {
		return err
	}
	if err := r.images(compiled, half, work); err != nil {
		return err
	}
	if err := r.manifests(half); err != nil {
		return err
	}
	if err := r.clis(compiled, half); err != nil {
		return err
	}
	if err := r.krew(half); err != nil {
		return err
	}
	if err := r.bundles(compiled, half, work); err != nil {
		return err
	}
	list, err := checksums(half)
	if err != nil {
		return err
	}
	if err := write(filepath.Join(half, sums), list); err != nil {
		return err
	}
	if err := os.RemoveAll(out); err != nil {
		return err
	}
	if err := os.Rename(half, out); err != nil {
		return err
	}
	r.log("\n%s%s has release %s.", list, out, r.version)
	return nil
}

// replaceable returns a new directory beside one that it is to take the place of,
// which must be a release, or nothing.
func replaceable(out string) (half string, err error) {
	files, err := os.ReadDir(out)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return "", err
	}
	if _, err := os.Stat(filepath.Join(out, sums)); err != nil && len(files) > 0 {
		return "", fmt.Errorf("%s has files that are no release: name another directory, or remove them", out)
	}
	if err := os.MkdirAll(filepath.Dir(filepath.Clean(out)), 0o755); err != nil {
		return "", err
	}
	half = filepath.Clean(out) + ".half"
	if err := os.RemoveAll(half); err != nil {
		return "", err
	}
	return half, os.Mkdir(half, 0o755)
}

// binaries are the compiled programs, by platform and name.
type binaries map[platform]map[string]string

func (r *release) compile(ctx context.Context, work string) (binaries, error) {
	c := compiler{root: r.root, dir: work, version: r.version}
	all := binaries{}
	add := func(p platform, name string) error {
		if all[p] == nil {
			all[p] = map[string]string{}
		}
		if all[p][name] != "" {
			return nil
		}
		r.log("compile %s for %s", name, p)
		file, err := c.compile(ctx, p, name)
		all[p][name] = file
		return err
	}
	for _, p := range r.nodes {
		for _, name := range slices.Sorted(maps.Keys(programs)) {
			if err := add(p, name); err != nil {
				return nil, err
			}
		}
	}
	for _, p := range r.desks {
		if err := add(p, cli); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// images writes the image of each platform, their index, and what is in them.
func (r *release) images(compiled binaries, out, work string) error {
	images := map[platform]v1.Image{}
	for _, p := range r.nodes {
		r.log("make the image for %s", p)
		image, err := buildImage(p, compiled[p], r.version, r.revision, r.at, work)
		if err != nil {
			return err
		}
		images[p] = image
		if err := writeImage(filepath.Join(out, imageFile(r.version, p)), image, r.version); err != nil {
			return err
		}
	}
	index := indexOf(images, r.nodes)
	if err := writeIndex(filepath.Join(out, "heteroaccel-"+r.version+"-image-index.tar"), index, r.version, r.at, work); err != nil {
		return err
	}
	digest, err := index.Digest()
	if err != nil {
		return err
	}
	r.log("the image is %s:%s@%s", repository, r.version, digest)
	b := bom{version: r.version, revision: r.revision, digest: digest.String(), at: r.at, programs: map[string][]module{}}
	for name, file := range compiled[r.nodes[0]] {
		if b.goVersion, b.programs[name], err = modulesOf(file); err != nil {
			return err
		}
	}
	text, err := b.document()
	if err != nil {
		return err
	}
	return write(filepath.Join(out, "heteroaccel-"+r.version+".spdx.json"), text)
}

// manifests writes the rendered kustomizations, their sources and the chart.
func (r *release) manifests(out string) error {
	r.log("render the manifests")
	for end, dir := range rendered {
		text, err := render(r.root, dir)
		if err != nil {
			return err
		}
		if err := write(filepath.Join(out, "heteroaccel-"+r.version+end+".yaml"), text); err != nil {
			return err
		}
	}
	name := "heteroaccel-" + r.version + "-kustomize"
	entries, err := sources(r.root, name)
	if err != nil {
		return err
	}
	if err := writeArchive(filepath.Join(out, name+".tar.gz"), append(entries, license(r.root, name+"/")), r.at); err != nil {
		return err
	}
	if entries, err = chart(r.root); err != nil {
		return err
	}
	return writeArchive(filepath.Join(out, "heteroaccel-"+r.chart+".tgz"), entries, r.at)
}

// clis writes the command line program for each platform.
func (r *release) clis(compiled binaries, out string) error {
	for _, p := range r.desks {
		archive, binary := cliFile(r.version, p)
		entries := []entry{{name: binary, mode: 0o755, file: compiled[p][cli]}, license(r.root, "")}
		if err := writeArchive(filepath.Join(out, archive), entries, r.at); err != nil {
			return err
		}
	}
	return nil
}

// bundles writes a bundle for the nodes of each platform.
func (r *release) bundles(compiled binaries, out, work string) error {
	for _, p := range r.nodes {
		r.log("make the bundle for %s", p)
		dir := filepath.Join(work, "bundle-"+p.name())
		if err := os.Mkdir(dir, 0o755); err != nil {
			return err
		}
		text, err := readme(r.version, r.chart, p)
		if err == nil {
			err = write(filepath.Join(dir, "README.md"), text)
		}
		if err != nil {
			return err
		}
		files := map[string]string{"README.md": filepath.Join(dir, "README.md"), cli: compiled[p][cli], "LICENSE": filepath.Join(r.root, "LICENSE")}
		names := []string{imageFile(r.version, p), "heteroaccel-" + r.chart + ".tgz", "heteroaccel-" + r.version + ".spdx.json", "heteroaccel-" + r.version + "-kustomize.tar.gz"}
		for end := range rendered {
			names = append(names, "heteroaccel-"+r.version+end+".yaml")
		}
		for _, name := range names {
			files[name] = filepath.Join(out, name)
		}
		text, err = sumsOf(files)
		if err != nil {
			return err
		}
		under := "heteroaccel-" + r.version + "-airgap-" + p.name()
		entries := []entry{{name: under + "/" + sums, mode: 0o644, data: text}}
		for name, file := range files {
			e := entry{name: under + "/" + name, mode: 0o644, file: file}
			if name == cli {
				e.mode = 0o755
			}
			entries = append(entries, e)
		}
		if err := writeArchive(filepath.Join(out, under+".tar"), entries, r.at); err != nil {
			return err
		}
	}
	return nil
}
