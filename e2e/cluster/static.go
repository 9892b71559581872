package cluster

import (
	"cmp"
	"context"
	"fmt"
	"path/filepath"
	"strings"
)

// Static says what is compiled of a module, and how.
type Static struct {
	// Package is its import path; "" for the package of the directory.
	Package string
	// Tags are build tags.
	Tags []string
}

// BuildStatic compiles the program in dir, a folder below the repository's
// root that may be a module of its own ("e2e/dns"), to a static binary at
// path. The same source gives the same bytes.
func BuildStatic(ctx context.Context, dir, path string, s Static) error {
	root, err := Root()
	if err != nil {
		return err
	}
	if path, err = filepath.Abs(path); err != nil {
		return fmt.Errorf("build %s: %w", dir, err)
	}
	tc := toolchain{dir: filepath.Join(root, dir), env: []string{"CGO_ENABLED=0", "GOWORK=off"}}
	if _, err := tc.output(ctx, "build", "-trimpath", "-buildvcs=false", "-ldflags", "-s -w", "-tags", strings.Join(s.Tags, ","), "-o", path, cmp.Or(s.Package, ".")); err != nil {
		return fmt.Errorf("build %s: %w", dir, err)
	}
	return nil
}
