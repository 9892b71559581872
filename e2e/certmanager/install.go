package certmanager

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"heteroaccel.io/e2e/cache"
	"heteroaccel.io/e2e/cluster"
)

// controllers is the module of the programs, from the repository's root, and module that
// of cert-manager.
const (
	controllers = "e2e/certmanager/controllers"
	module      = "github.com/cert-manager/cert-manager"
)

// programs are the folders of the module, and the names of the processes.
var programs = []string{"issuer", "cainjector"}

// install compiles what is missing, and returns the directory of the programs, with
// cert-manager's CRDs in its folder crds.
func install(ctx context.Context) (string, error) {
	root, err := cluster.Root()
	if err != nil {
		return "", err
	}
	files := []string{controllers + "/go.sum"}
	for _, p := range programs {
		files = append(files, filepath.Join(controllers, p, "main.go"))
	}
	return cache.Of("cert-manager", root, files, func(dir string) error {
		for _, p := range programs {
			if err := cluster.BuildStatic(ctx, controllers, filepath.Join(dir, p), cluster.Static{Package: "./" + p}); err != nil {
				return err
			}
		}
		from, err := cluster.ModuleDir(ctx, controllers, module)
		if err != nil {
			return err
		}
		if err := os.CopyFS(filepath.Join(dir, "crds"), os.DirFS(filepath.Join(from, "deploy", "crds"))); err != nil {
			return fmt.Errorf("keep cert-manager's CRDs: %w", err)
		}
		return nil
	})
}
