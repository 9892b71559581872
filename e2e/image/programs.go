package image

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
)

// programs is the product's image, laid out as deploy/image/Dockerfile does:
// one image for all programs, and the pod's command says which one runs.
func (b *builder) programs(ctx context.Context, dir, tag string) (Image, error) {
	names := []string{"connector", "extender", "webhook", "exporter"}
	// The revision before had no program for the command line.
	if _, err := os.Stat(filepath.Join(dir, "heteroaccel")); err == nil {
		names = append(names, "heteroaccel")
	}
	l, err := binaries(dir, "", names...)
	if err != nil {
		return Image{}, fmt.Errorf("build the image heteroaccel: compile the programs first (make build): %w", err)
	}
	return b.build(ctx, recipe{
		name:   "heteroaccel",
		names:  []string{"heteroaccel/heteroaccel:" + tag},
		config: config{User: nobody},
		layers: []layer{l},
	})
}

func (b *builder) pause(ctx context.Context) (Image, error) {
	return b.compile(ctx, program{name: "pause", dir: "e2e/pause", user: nobody})
}

// devicePlugin runs as root: kubelet's sockets are root's.
func (b *builder) devicePlugin(ctx context.Context) (Image, error) {
	return b.compile(ctx, program{name: "device-plugin", dir: "e2e/deviceplugin", user: "0:0"})
}

func (b *builder) dns(ctx context.Context) (Image, error) {
	return b.compile(ctx, program{name: "dns", dir: "e2e/dns", user: nobody})
}

func (b *builder) serving(ctx context.Context) (Image, error) {
	return b.compile(ctx, program{name: "serving", dir: "e2e/serving", user: nobody})
}

func (b *builder) localCluster(ctx context.Context) (Image, error) {
	return b.compile(ctx, program{name: "localcluster", dir: "e2e/localcluster", user: nobody})
}
