//go:build cluster

package inference_test

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/google/go-containerregistry/pkg/v1/tarball"

	"heteroaccel.io/e2e/image"
)

// root is the image heteroaccel/inference, unpacked.
var root string

func TestMain(m *testing.M) {
	os.Exit(func() int {
		dir, err := os.MkdirTemp("", "heteroaccel-inference-")
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer os.RemoveAll(dir)
		root = dir
		if err := unpack(context.Background(), dir); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		return m.Run()
	}())
}

// unpack builds the image and puts its files below dir, with tar: under the
// race detector Go takes a minute for it.
func unpack(ctx context.Context, dir string) error {
	built, err := image.Build(ctx, image.Options{Out: os.Stdout}, image.Inference)
	if err != nil {
		return err
	}
	archive := built[image.Inference].Path
	manifest, err := tarball.LoadManifest(func() (io.ReadCloser, error) { return os.Open(archive) })
	if err != nil {
		return err
	}
	for _, layer := range manifest[0].Layers {
		if err := tar(ctx, dir, archive, layer); err != nil {
			return err
		}
		if err := tar(ctx, dir, filepath.Join(dir, layer)); err != nil {
			return err
		}
		if err := os.Remove(filepath.Join(dir, layer)); err != nil {
			return err
		}
	}
	return nil
}

func tar(ctx context.Context, dir, archive string, members ...string) error {
	out, err := exec.CommandContext(ctx, "tar", append([]string{"-C", dir, "-xf", archive}, members...)...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("unpack %s: %w: %s", archive, err, out)
	}
	return nil
}

// python is a command of the image's Python and nothing of the host's but its
// kernel.
func python(ctx context.Context, args ...string) *exec.Cmd {
	libraries := filepath.Join(root, "lib/x86_64-linux-gnu") + ":" + filepath.Join(root, "usr/lib/x86_64-linux-gnu")
	all := append([]string{"--library-path", libraries, filepath.Join(root, "usr/bin/python3.11")}, args...)
	cmd := exec.CommandContext(ctx, filepath.Join(root, "lib/x86_64-linux-gnu/ld-linux-x86-64.so.2"), all...)
	cmd.Env = []string{"PYTHONHOME=" + filepath.Join(root, "usr"), "PATH=/bin", "HETEROACCEL_DEVICE=GPU"}
	return cmd
}

// program is a file of the program in the image.
func program(name string) string { return filepath.Join(root, "opt/inference", name) }
