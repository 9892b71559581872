package cluster

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
)

// ModuleDir is where the sources of a module are that the module in dir requires, a folder
// below the repository's root; "" for the repository's own. They must have been downloaded,
// as they are once something was compiled of them.
func ModuleDir(ctx context.Context, dir, module string) (string, error) {
	root, err := Root()
	if err != nil {
		return "", err
	}
	tc := toolchain{dir: filepath.Join(root, dir), env: []string{"GOWORK=off"}}
	out, err := tc.output(ctx, "list", "-m", "-f", "{{.Dir}}", module)
	if err != nil {
		return "", fmt.Errorf("find module %s: %w", module, err)
	}
	return strings.TrimSpace(out), nil
}
