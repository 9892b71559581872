package previous

import (
	"archive/tar"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"heteroaccel.io/e2e/cache"
	"heteroaccel.io/e2e/cluster"
)

// archive is where the sources are, below the repository's root.
const archive = "e2e/previous/testdata/source.tar.gz"

// Revision is that revision.
type Revision struct {
	// Root is its tree, not to be changed: go.mod, README.md, deploy, certs and what its
	// programs are compiled from.
	Root string
	// Programs is the directory with its programs, static binaries.
	Programs string
}

// Build unpacks and compiles it, the first time within two minutes. Progress goes to out,
// nil for nowhere.
func Build(ctx context.Context, out io.Writer) (Revision, error) {
	root, err := cluster.Root()
	if err != nil {
		return Revision{}, err
	}
	dir, err := cache.Of("previous", root, []string{archive}, func(dir string) error {
		tree := filepath.Join(dir, "tree")
		if err := unpack(filepath.Join(root, archive), tree); err != nil {
			return fmt.Errorf("unpack %s: %w", archive, err)
		}
		return cluster.BuildPrograms(ctx, filepath.Join(dir, "bin"), cluster.ProgramOptions{Root: tree, Static: true, Out: out},
			"connector", "exporter", "extender", "webhook")
	})
	if err != nil {
		return Revision{}, fmt.Errorf("build the revision to upgrade from: %w", err)
	}
	return Revision{Root: filepath.Join(dir, "tree"), Programs: filepath.Join(dir, "bin")}, nil
}

// unpack writes the files of an archive below dir.
func unpack(file, dir string) error {
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer f.Close()
	plain, err := gzip.NewReader(f)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	to, err := os.OpenRoot(dir) // no entry of the archive leaves it
	if err != nil {
		return err
	}
	defer to.Close()
	for r := tar.NewReader(plain); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if h.Typeflag != tar.TypeReg {
			continue
		}
		data, err := io.ReadAll(r)
		if err == nil {
			err = to.MkdirAll(filepath.Dir(h.Name), 0o755)
		}
		if err == nil {
			err = to.WriteFile(h.Name, data, 0o644)
		}
		if err != nil {
			return err
		}
	}
}
