package main

import (
	"fmt"
	"os"
	"path/filepath"
)

// root is the repository, in which make generate runs this.
const root = "."

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "the chart's templates could not be generated:", err)
		os.Exit(1)
	}
}

func run() error {
	out, err := all(root)
	if err != nil {
		return err
	}
	for path, text := range out {
		path = filepath.Join(root, path)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return fmt.Errorf("make the directory of %s: %w", path, err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			return fmt.Errorf("write %s: %w", path, err)
		}
	}
	return nil
}

// all returns every generated file's text, by its path below the root.
func all(root string) (map[string]string, error) {
	out := map[string]string{}
	rules, err := prometheusRule(root)
	if err != nil {
		return nil, err
	}
	out["deploy/monitoring/rules.yaml"] = rules
	dashboard, err := dashboardConfigMap(root)
	if err != nil {
		return nil, err
	}
	made := map[string]string{"deploy/monitoring/rules.yaml": rules, dashboardFile: dashboard}
	for _, p := range pages() {
		text, ok := made[p.from]
		if !ok {
			data, err := os.ReadFile(filepath.Join(root, p.from))
			if err != nil {
				return nil, fmt.Errorf("read the manifest: %w", err)
			}
			text = string(data)
		}
		template, err := p.template(text)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", p.from, err)
		}
		out["deploy/helm/heteroaccel/templates/"+p.to] = template
	}
	return out, nil
}
