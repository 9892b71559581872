package image

import (
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
)

// format is part of every key: it changes when the code that makes layers or
// archives changes what it makes of the same input.
const format = 1

// layer is one layer of an image.
type layer struct {
	name string
	// from is all that determines the layer, as JSON has it.
	from any
	// fill makes the layer's files; work is an empty directory for it.
	fill func(ctx context.Context, work string) (*tree, error)
}

// key names what is determined by the values.
func key(values ...any) string {
	sum := sha256.New()
	if err := json.NewEncoder(sum).Encode(append([]any{format, goarch}, values...)); err != nil {
		panic(fmt.Sprintf("a recipe is not JSON: %v", err))
	}
	return fmt.Sprintf("%x", sum.Sum(nil))[:16]
}

func (l layer) key() string { return key("layer", l.name, l.from) }

// layer returns the file of an image's layer, a compressed tar, and makes it
// if the cache has it not. The caller has the image's lock.
func (b *builder) layer(ctx context.Context, image string, l layer) (path string, err error) {
	path = filepath.Join(b.dir, image+"-"+l.name+"-"+l.key()+".tar.gz")
	if touch(path) {
		return path, nil
	}
	work, err := os.MkdirTemp(b.dir, halfBuilt+image+"-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(work)
	b.report.Set("image " + image + ": " + l.name)
	inner := filepath.Join(work, "work")
	if err := os.Mkdir(inner, 0o755); err != nil {
		return "", err
	}
	t, err := l.fill(ctx, inner)
	if err != nil {
		return "", err
	}
	temporary := filepath.Join(work, "layer")
	if err := compress(t, temporary); err != nil {
		return "", fmt.Errorf("write the layer %s: %w", l.name, err)
	}
	return path, os.Rename(temporary, path)
}

// compress writes a tree to a compressed tar. It is compressed little: the
// archive is read on this machine only.
func compress(t *tree, path string) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer f.Close()
	z, err := gzip.NewWriterLevel(f, gzip.BestSpeed)
	if err != nil {
		return err
	}
	if err := t.write(z); err != nil {
		return err
	}
	if err := z.Close(); err != nil {
		return err
	}
	return f.Close()
}
