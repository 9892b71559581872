// Command render renders a chart many times in one process, by Helm's own install action
// without a cluster: what "helm template" does, and the notes.
//
// The chart's directory is the argument, and a JSON list of releases enters; a JSON list of
// what each is rendered to, or refused with, leaves. It reaches no cluster.
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"

	"helm.sh/helm/v4/pkg/action"
	"helm.sh/helm/v4/pkg/chart/common"
	"helm.sh/helm/v4/pkg/chart/v2/loader"
	release "helm.sh/helm/v4/pkg/release/v1"
)

// asked is a release to render.
type asked struct {
	Namespace, KubeVersion string
	Values                 map[string]any
}

// rendered is what became of it: objects as YAML, hooks apart, and the notes.
type rendered struct {
	Manifest, Hooks, Notes, Error string
}

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) != 1 {
		return errors.New("one argument, the chart's directory, is wanted")
	}
	var in []asked
	if err := json.NewDecoder(os.Stdin).Decode(&in); err != nil {
		return fmt.Errorf("read the releases: %w", err)
	}
	var out []rendered
	for _, a := range in {
		r, err := render(args[0], a)
		if err != nil {
			r.Error = err.Error()
		}
		out = append(out, r)
	}
	return json.NewEncoder(os.Stdout).Encode(out)
}

func render(dir string, a asked) (rendered, error) {
	// Anew, since rendering changes what was loaded.
	chart, err := loader.Load(dir)
	if err != nil {
		return rendered{}, fmt.Errorf("load the chart: %w", err)
	}
	install := action.NewInstall(action.NewConfiguration())
	install.DryRunStrategy, install.ReleaseName, install.Namespace = action.DryRunClient, "heteroaccel", a.Namespace
	if install.KubeVersion, err = common.ParseKubeVersion(a.KubeVersion); err != nil {
		return rendered{}, fmt.Errorf("version of Kubernetes: %w", err)
	}
	out, err := install.Run(chart, a.Values)
	if err != nil {
		return rendered{}, err
	}
	r, ok := out.(*release.Release)
	if !ok {
		return rendered{}, fmt.Errorf("a release is a %T", out)
	}
	hooks := ""
	for _, h := range r.Hooks {
		hooks += "---\n" + h.Manifest
	}
	return rendered{Manifest: r.Manifest, Hooks: hooks, Notes: r.Info.Notes}, nil
}
