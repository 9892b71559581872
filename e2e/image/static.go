package image

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"

	"heteroaccel.io/e2e/cluster"
)

// nobody is the user of the images that need no rights: the one that the
// manifests of the product name.
const nobody = "65532:65532"

// program is an image with one static binary compiled from this project.
type program struct {
	name string // of the binary, and of the image behind heteroaccel/
	dir  string // of the package, below the repository's root
	user string
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
	err = cluster.BuildStatic(ctx, p.dir, filepath.Join(work, p.name))
	stop()
	if err != nil {
		return Image{}, err
	}
	l, err := binaries(work, p.name)
	if err != nil {
		return Image{}, fmt.Errorf("build the image %s: %w", p.name, err)
	}
	return b.build(ctx, recipe{
		name:   p.name,
		names:  []string{"heteroaccel/" + p.name + ":" + Version},
		config: config{Entrypoint: []string{"/" + p.name}, User: p.user},
		layers: []layer{l},
	})
}

// binaries is the layer with executables of a directory at the root.
func binaries(dir string, names ...string) (layer, error) {
	t, sums := newTree(), map[string]string{}
	for _, name := range names {
		if err := t.addFile(name, 0o755, filepath.Join(dir, name)); err != nil {
			return layer{}, err
		}
		sums[name] = fmt.Sprintf("%x", sha256.Sum256(t.entries[name].data))
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
