package schemathesis

import (
	"context"
	"crypto/sha256"
	_ "embed"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
)

// requirements pins Schemathesis and all that it imports. To change it:
//
//	echo schemathesis==VERSION | uv pip compile --universal --python-version 3.11 --generate-hashes --no-annotate --no-header -
//
//go:embed requirements.txt
var requirements []byte

// Schemathesis is an installed one.
type Schemathesis struct{ python string }

// Install installs it into the user's cache, unless it is there. It needs
// python3 with venv.
func Install(ctx context.Context) (*Schemathesis, error) {
	version, err := exec.CommandContext(ctx, "python3", "-VV").Output()
	if err != nil {
		return nil, fmt.Errorf("python3 is needed, with venv: install it, on Debian with apt-get install python3-venv: %w", err)
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return nil, fmt.Errorf("find the user's cache: %w", err)
	}
	cache = filepath.Join(cache, "heteroaccel")
	dir := filepath.Join(cache, fmt.Sprintf("schemathesis-%.6x", sha256.Sum256(append(version, requirements...))))
	installed := &Schemathesis{filepath.Join(dir, "bin", "python")}
	if _, err := os.Stat(dir); err == nil {
		return installed, nil
	}
	if err := os.MkdirAll(cache, 0o755); err != nil {
		return nil, fmt.Errorf("make the cache: %w", err)
	}
	// Under another name until it is complete.
	temp, err := os.MkdirTemp(cache, "schemathesis-*.part")
	if err != nil {
		return nil, fmt.Errorf("make the virtual environment: %w", err)
	}
	defer os.RemoveAll(temp)
	if err := run(ctx, "python3", "-m", "venv", temp); err != nil {
		return nil, fmt.Errorf("make the virtual environment; python3 needs its venv, on Debian apt-get install python3-venv: %w", err)
	}
	pinned := filepath.Join(temp, "requirements.txt")
	if err := os.WriteFile(pinned, requirements, 0o644); err != nil {
		return nil, fmt.Errorf("install Schemathesis: %w", err)
	}
	python := filepath.Join(temp, "bin", "python")
	if err := run(ctx, python, "-m", "pip", "install", "--quiet", "--only-binary=:all:", "--require-hashes", "-r", pinned); err != nil {
		return nil, fmt.Errorf("install Schemathesis: %w", err)
	}
	// Somebody else may have installed it meanwhile.
	if err := os.Rename(temp, dir); err != nil && !errors.Is(err, os.ErrExist) {
		return nil, fmt.Errorf("keep the virtual environment: %w", err)
	}
	return installed, nil
}

// Run tests the API that the document at a URL describes, with further arguments
// of "schemathesis run", and returns how many requests were sent. That an answer
// is wrong is an error, with the report.
func (s *Schemathesis) Run(ctx context.Context, config, document string, args ...string) (requests int, err error) {
	cmd := exec.CommandContext(ctx, s.python, append([]string{
		"-m", "schemathesis.cli", "--config-file", config, "run", document, "--no-color", "--generation-database", "none",
	}, args...)...)
	cmd.Dir = filepath.Dir(config) // where it would leave files
	out, err := cmd.CombinedOutput()
	if err != nil {
		return 0, fmt.Errorf("%w: %s", err, out)
	}
	found := generated.FindSubmatch(out)
	if found == nil {
		return 0, fmt.Errorf("it does not say how many requests it sent: %s", out)
	}
	return strconv.Atoi(string(found[1]))
}

// generated matches the number of requests in the report's summary.
var generated = regexp.MustCompile(`(?m)^\s+(\d+) generated`)

// run runs a program, and quotes what it says when it fails.
func run(ctx context.Context, program string, args ...string) error {
	if out, err := exec.CommandContext(ctx, program, args...).CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w: %s", filepath.Base(program), err, out)
	}
	return nil
}
