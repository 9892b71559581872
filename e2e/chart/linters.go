package chart

import (
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"

	"heteroaccel.io/e2e/cluster"
)

// lintersDir is the module of the linters, from the repository's root.
const lintersDir = "e2e/chart/linters"

// Linters is where they are.
type Linters struct{ dir string }

// InstallLinters compiles kubeconform, kube-score and helm-docs, and installs the schemas,
// unless they are in the cache.
func InstallLinters(ctx context.Context) (Linters, error) {
	dir, err := install("chart-linters", []string{lintersDir + "/go.sum", requirements}, func(dir string) error {
		for _, p := range []string{"github.com/yannh/kubeconform/cmd/kubeconform", "github.com/zegl/kube-score/cmd/kube-score", "github.com/norwoodj/helm-docs/cmd/helm-docs"} {
			if err := cluster.BuildStatic(ctx, lintersDir, filepath.Join(dir, filepath.Base(p)), cluster.Static{Package: p}); err != nil {
				return err
			}
		}
		return installSchemas(ctx, dir)
	})
	return Linters{dir}, err
}

// Conform has kubeconform check manifests against the schemas of a version of Kubernetes,
// "1.37.0", but for objects of other kinds, which it has no schemas of. The error has
// what is wrong.
func (l Linters) Conform(ctx context.Context, version, manifests string, otherKinds []string) error {
	_, err := l.run(ctx, "kubeconform", manifests, "-strict", "-kubernetes-version", version, "-skip", strings.Join(otherKinds, ","),
		"-schema-location", filepath.Join(l.dir, "schemas", "{{ .NormalizedKubernetesVersion }}", "{{ .ResourceKind }}{{ .KindSuffix }}.json"), "-output", "text", "-")
	return err
}

// Score has kube-score judge manifests and returns its JSON, whatever it finds.
func (l Linters) Score(ctx context.Context, manifests string) ([]byte, error) {
	out, err := l.run(ctx, "kube-score", manifests, "score", "--output-format", "json", "-")
	if len(out) > 0 {
		return out, nil // it fails when it has found something
	}
	return nil, err
}

// Docs returns the page that helm-docs makes of the template beside a chart's values.
func (l Linters) Docs(ctx context.Context, chart string) (string, error) {
	out, err := l.run(ctx, "helm-docs", "", "--dry-run", "--sort-values-order", "file", "--chart-search-root", chart)
	return string(out), err
}

func (l Linters) run(ctx context.Context, program, in string, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, filepath.Join(l.dir, program), args...)
	cmd.Stdin = strings.NewReader(in)
	out, err := output(cmd)
	if err != nil {
		return out, fmt.Errorf("%w %s", err, out)
	}
	return out, nil
}
