// Images builds the images of docker-compose.yaml but Grafana's, and loads them into
// Docker: the product's, and those of a control plane that is compiled from its published
// modules, for a computer that has no registry at hand.
package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"syscall"

	"heteroaccel.io/e2e/cluster"
	"heteroaccel.io/e2e/compose"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "the images could not be built:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	if _, err := exec.LookPath("docker"); err != nil {
		return fmt.Errorf("docker was not found: install Docker Engine, on Debian the package docker.io, with Compose 2.20 or newer")
	}
	root, err := cluster.Root()
	if err != nil {
		return err
	}
	images, err := compose.Images(ctx, filepath.Join(root, "bin", "images"), os.Stdout)
	if err != nil {
		return err
	}
	for _, i := range images {
		cmd := exec.CommandContext(ctx, "docker", "load", "--input", i.Path)
		cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
		if err := cmd.Run(); err != nil {
			return fmt.Errorf("docker load of %s: %w: see above what it said", i.Name(), err)
		}
	}
	return nil
}
