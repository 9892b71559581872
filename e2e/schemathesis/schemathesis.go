package schemathesis

import (
	"context"
	"crypto/sha256"
	_ "embed"
	"fmt"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"

	"heteroaccel.io/e2e/cache"
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
	// Its scripts, which name where they were installed, are not used.
	dir, err := cache.Dir(fmt.Sprintf("schemathesis-%.6x", sha256.Sum256(append(version, requirements...))), func(dir string) error {
		return cache.Wheels(ctx, dir, requirements)
	})
	if err != nil {
		return nil, fmt.Errorf("install Schemathesis: %w", err)
	}
	return &Schemathesis{cache.Python(dir)}, nil
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
