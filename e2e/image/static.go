package image

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"os"
	"path"
	"path/filepath"

	"heteroaccel.io/e2e/cluster"
)

// nobody is the user of the images that need no rights: the one that the
// manifests of the product name.
const nobody = "65532:65532"

// program is an image with one static binary compiled from this project.
type program struct {
	name string // of the binary, and of the image behind heteroaccel/
	dir  string // of the package or its module, below the repository's root
	user string
	// source says more of what is compiled, where that is not just dir.
	source cluster.Static
}

// compile builds the image of a program. It is compiled each time and known by
// its contents.
func (b *builder) compile(ctx context.Context, p program) (Image, error) {
	work, err := os.MkdirTemp("", "heteroaccel-"+p.name+"-")
	if err != nil {
		return Image{}, fmt.Errorf("build the image %s: %w", p.name, err)
	}
	defer os.RemoveAll(work)
	stop := b.report.Show("compiling " + p.name)
	err = cluster.BuildStatic(ctx, p.dir, filepath.Join(work, p.name), p.source)
	stop()
	if err != nil {
		return Image{}, err
	}
	l, err := binaries(work, "bin", p.name)
	if err != nil {
		return Image{}, fmt.Errorf("build the image %s: %w", p.name, err)
	}
	return b.build(ctx, recipe{
		name:   p.name,
		names:  []string{"heteroaccel/" + p.name + ":" + Version},
		config: config{Entrypoint: []string{"/bin/" + p.name}, User: p.user},
		layers: []layer{l},
	})
}

// binaries is the layer with executables of a directory, which the image has in
// the directory at.
func binaries(dir, at string, names ...string) (layer, error) {
	t, sums := newTree(), map[string]string{}
	for _, name := range names {
		if err := t.addFile(path.Join(at, name), 0o755, filepath.Join(dir, name)); err != nil {
			return layer{}, err
		}
		sums[path.Join(at, name)] = fmt.Sprintf("%x", sha256.Sum256(t.entries[path.Join(at, name)].data))
	}
	from, err := json.Marshal(sums)
	if err != nil {
		return layer{}, err
	}
	return layer{
		name: "binaries",
		from: string(from),
		fill: func(context.Context, string) (*tree, error) { return t, nil },
	}, nil
}
