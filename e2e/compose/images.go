package compose

import (
	"context"
	"io"
	"path/filepath"

	"heteroaccel.io/e2e/cluster"
	"heteroaccel.io/e2e/image"
)

// Images makes the images of docker-compose.yaml but Grafana's, from what is compiled
// into the directory programs and the cache. From nothing it takes minutes.
func Images(ctx context.Context, programs string, out io.Writer) ([]image.Image, error) {
	err := cluster.BuildPrograms(ctx, programs, cluster.ProgramOptions{Static: true, Out: out}, "connector", "exporter", "extender", "webhook")
	if err == nil {
		err = cluster.BuildStatic(ctx, "cli", filepath.Join(programs, "heteroaccel"), cluster.Static{})
	}
	if err != nil {
		return nil, err
	}
	images, err := image.ControlPlane(ctx, out)
	if err != nil {
		return nil, err
	}
	ids := []image.ID{image.HeteroAccel, image.LocalCluster, image.Prometheus}
	ours, err := image.Build(ctx, image.Options{Programs: programs, Out: out}, ids...)
	if err != nil {
		return nil, err
	}
	for _, id := range ids {
		images = append(images, ours[id])
	}
	return images, nil
}
