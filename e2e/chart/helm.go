package chart

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os/exec"
	"path/filepath"

	"heteroaccel.io/e2e/cluster"
)

// helmDir is the module of Helm, from the repository's root.
const helmDir = "e2e/chart/helm"

// Helm is where its programs are.
type Helm struct{ dir string }

// InstallHelm compiles Helm, and the program that renders many releases at once, unless
// they are in the cache.
func InstallHelm(ctx context.Context) (Helm, error) {
	dir, err := install("helm", []string{helmDir + "/go.sum", helmDir + "/render/main.go"}, func(dir string) error {
		for _, p := range []string{"helm.sh/helm/v4/cmd/helm", "./render"} {
			if err := cluster.BuildStatic(ctx, helmDir, filepath.Join(dir, filepath.Base(p)), cluster.Static{Package: p}); err != nil {
				return err
			}
		}
		return nil
	})
	return Helm{dir}, err
}

// Path is that of helm.
func (h Helm) Path() string { return filepath.Join(h.dir, "helm") }

// Release is one to render, under the name heteroaccel.
type Release struct {
	Namespace   string
	KubeVersion string // v1.37.2
	Values      map[string]any
}

// Rendered is what a release is rendered to: objects and hooks as YAML, and the notes; or
// why it is refused.
type Rendered struct{ Manifest, Hooks, Notes, Error string }

// Render renders releases of the chart in a directory, one after the other.
func (h Helm) Render(ctx context.Context, chart string, releases []Release) ([]Rendered, error) {
	in, err := json.Marshal(releases)
	if err != nil {
		return nil, fmt.Errorf("write the releases: %w", err)
	}
	cmd := exec.CommandContext(ctx, filepath.Join(h.dir, "render"), chart)
	cmd.Stdin = bytes.NewReader(in)
	text, err := output(cmd)
	if err != nil {
		return nil, err
	}
	var out []Rendered
	if err := json.Unmarshal(text, &out); err != nil {
		return nil, fmt.Errorf("read what was rendered: %w", err)
	}
	if len(out) != len(releases) {
		return nil, fmt.Errorf("of %d releases %d were rendered", len(releases), len(out))
	}
	return out, nil
}

// Run runs helm and returns what it prints, on both streams.
func (h Helm) Run(ctx context.Context, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, h.Path(), args...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		return string(out), fmt.Errorf("helm %s: %w: %s", args[0], err, out)
	}
	return string(out), nil
}
