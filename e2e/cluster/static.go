package cluster

import (
	"context"
	"fmt"
	"path/filepath"
)

// BuildStatic compiles the program in dir, a folder below the repository's
// root that may be a module of its own ("e2e/dns"), to a static binary at
// path. The same source gives the same bytes.
func BuildStatic(ctx context.Context, dir, path string) error {
	root, err := Root()
	if err != nil {
		return err
	}
	if path, err = filepath.Abs(path); err != nil {
		return fmt.Errorf("build %s: %w", dir, err)
	}
	tc := toolchain{dir: filepath.Join(root, dir), env: []string{"CGO_ENABLED=0", "GOWORK=off"}}
	if _, err := tc.output(ctx, "build", "-trimpath", "-buildvcs=false", "-ldflags", "-s -w", "-o", path, "."); err != nil {
		return fmt.Errorf("build %s: %w", dir, err)
	}
	return nil
}
