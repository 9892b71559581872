package browser

import (
	"context"
	"crypto/sha256"
	_ "embed"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"heteroaccel.io/e2e/cache"
)

// requirements pins the package that axe-core is taken from, and nothing else of it.
//
//go:embed requirements.txt
var requirements []byte

// Axe is axe-core, a program in JavaScript that finds what keeps people from using a
// page.
type Axe struct{ script string }

// InstallAxe installs it into the user's cache, unless it is there. It needs python3 with
// venv.
func InstallAxe(ctx context.Context) (*Axe, error) {
	dir, err := cache.Dir(fmt.Sprintf("axe-%.6x", sha256.Sum256(requirements)), func(dir string) error {
		return cache.Wheels(ctx, dir, requirements, "--no-deps")
	})
	if err != nil {
		return nil, fmt.Errorf("install axe-core: %w", err)
	}
	files, err := filepath.Glob(filepath.Join(dir, "lib", "python3*", "site-packages", "axe_playwright_python", "axe.min.js"))
	if err != nil || len(files) != 1 {
		return nil, fmt.Errorf("axe-core is not where it was installed, in %s: remove that", dir)
	}
	script, err := os.ReadFile(files[0])
	if err != nil {
		return nil, fmt.Errorf("read axe-core: %w", err)
	}
	return &Axe{string(script)}, nil
}

// Violations are what axe-core finds wrong with a page, by WCAG 2.2 AA and its own best
// practices, a sentence each.
func (a *Axe) Violations(p *Page) (all []string, err error) {
	if _, err = Evaluate[bool](p, a.script+"; true"); err != nil {
		return nil, err
	}
	type violation struct {
		ID, Help string
		Nodes    []struct{ HTML, FailureSummary string }
	}
	const run = `axe.run(document, { resultTypes: ["violations"] }).then((r) => r.violations.map((v) => ({ ID: v.id, Help: v.help, Nodes: v.nodes.map((n) => ({ HTML: n.html, FailureSummary: n.failureSummary })) })))`
	found, err := Evaluate[[]violation](p, run)
	if err != nil {
		return nil, err
	}
	for _, v := range found {
		for _, n := range v.Nodes {
			all = append(all, fmt.Sprintf("%s: %s: %.300s: %s", v.ID, v.Help, n.HTML, strings.ReplaceAll(n.FailureSummary, "\n", " ")))
		}
	}
	return all, nil
}
