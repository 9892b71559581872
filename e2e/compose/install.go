package compose

import (
	"context"
	"path/filepath"

	"heteroaccel.io/e2e/cache"
	"heteroaccel.io/e2e/cluster"
)

// module is that of Compose, from the repository's root.
const module = "e2e/compose/module"

// Install compiles Compose, unless it is in the cache, and returns the path of the
// program, docker-compose: a program of its own, and a plugin of docker.
func Install(ctx context.Context) (string, error) {
	root, err := cluster.Root()
	if err != nil {
		return "", err
	}
	dir, err := cache.Of("compose", root, []string{module + "/go.mod", module + "/go.sum"}, func(dir string) error {
		return cluster.BuildStatic(ctx, module, filepath.Join(dir, "docker-compose"), cluster.Static{Package: "github.com/docker/compose/v2/cmd"})
	})
	return filepath.Join(dir, "docker-compose"), err
}
