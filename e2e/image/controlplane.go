package image

import (
	"context"
	"fmt"
	"io"
	"path/filepath"

	"heteroaccel.io/e2e/cluster"
)

// ControlPlane makes the images of a control plane, an image a program: of etcd, of
// Kubernetes' own, kubectl among them, and of kwok. What is missing of the programs is
// compiled, which takes minutes. Their tags are the programs' versions, and the programs
// are where those of the official images are: on the PATH.
func ControlPlane(ctx context.Context, out io.Writer) ([]Image, error) {
	compiled, err := cluster.Build(ctx, cluster.BuildOptions{Out: out})
	if err != nil {
		return nil, err
	}
	versions, err := cluster.Versions()
	if err != nil {
		return nil, err
	}
	b, err := newBuilder(out)
	if err != nil {
		return nil, err
	}
	defer b.report.Clear()
	var images []Image
	for _, path := range []string{
		compiled.Etcd, compiled.APIServer, compiled.ControllerManager, compiled.Scheduler, compiled.Kubectl, compiled.Kwok,
	} {
		image, err := b.stock(ctx, path, versions[filepath.Base(path)])
		if err != nil {
			return nil, err
		}
		images = append(images, image)
	}
	return images, nil
}

// stock is the image of a program that is compiled already.
func (b *builder) stock(ctx context.Context, path, version string) (Image, error) {
	name := filepath.Base(path)
	if version == "" {
		return Image{}, fmt.Errorf("build the image %s: its version is not known", name)
	}
	const dir = "usr/local/bin"
	l, err := binaries(filepath.Dir(path), dir, name)
	if err != nil {
		return Image{}, fmt.Errorf("build the image %s: %w", name, err)
	}
	return b.build(ctx, recipe{
		name:   name,
		names:  []string{"heteroaccel/" + name + ":" + version},
		config: config{Entrypoint: []string{"/" + dir + "/" + name}, Env: []string{"PATH=/" + dir}, User: nobody},
		layers: []layer{l},
	})
}
