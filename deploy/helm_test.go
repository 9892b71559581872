package deploy_test

import (
	"context"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/kyaml/filesys"
	"sigs.k8s.io/yaml"

	"heteroaccel.io/e2e/chart"
)

const (
	chartDir = "helm/heteroaccel"
	crd      = "CustomResourceDefinition  inferenceprofiles.heteroaccel.io"
)

// values are set by their path: "webhook.replicas".
type values map[string]any

// tree is the values as Helm takes them.
func (v values) tree() map[string]any {
	out := map[string]any{}
	for path, value := range v {
		at := out
		parts := strings.Split(path, ".")
		for _, p := range parts[:len(parts)-1] {
			below, ok := at[p].(map[string]any)
			if !ok {
				below = map[string]any{}
				at[p] = below
			}
			at = below
		}
		at[parts[len(parts)-1]] = value
	}
	return out
}

func (v values) with(more values) values {
	out := maps.Clone(v)
	maps.Copy(out, more)
	return out
}

// installation is one that can be had by both: values of the chart, and an overlay of
// deploy/base.
type installation struct {
	values     values
	resources  []string // beside deploy/base: paths from the repository's root
	components []string
	overlay    string // more of its kustomization.yaml
	namespace  string // of the release; "" for heteroaccel-system
}

var helm = sync.OnceValues(func() (chart.Helm, error) { return chart.InstallHelm(context.Background()) })

// renderChart renders the chart once for each values.
func renderChart(t *testing.T, releases []chart.Release) []chart.Rendered {
	t.Helper()
	h, err := helm()
	if err != nil {
		t.Fatal(err)
	}
	for i := range releases {
		releases[i].KubeVersion = "v1.37.2"
		if releases[i].Namespace == "" {
			releases[i].Namespace = "heteroaccel-system"
		}
	}
	out, err := h.Render(t.Context(), chartDir, releases)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// manifests is deploy/ and certs/ in memory, with a CRD that has no schema: reading that
// takes longer than all else, and TestChartCRD compares it.
func manifests(t *testing.T) filesys.FileSystem {
	t.Helper()
	fs := filesys.MakeFsInMemory()
	for _, path := range append(files(t), "grafana/heteroaccel.json") {
		data := read(t, path)
		if strings.HasPrefix(path, "base/crd/heteroaccel") {
			data = []byte("apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: {name: inferenceprofiles.heteroaccel.io}\n")
		}
		if err := fs.WriteFile(filepath.Join("/repository/deploy", path), data); err != nil {
			t.Fatal(err)
		}
	}
	return fs
}

// render renders deploy/base with what an installation adds.
func (i installation) render(t *testing.T, fs filesys.FileSystem) []byte {
	t.Helper()
	text := "resources:\n- ../" + strings.Join(append(i.resources, "deploy/base"), "\n- ../") + "\n"
	if len(i.components) > 0 {
		text += "components:\n- ../" + strings.Join(i.components, "\n- ../") + "\n"
	}
	if err := fs.WriteFile("/repository/overlay/kustomization.yaml", []byte(text+i.overlay)); err != nil {
		t.Fatal(err)
	}
	return build(t, fs, "overlay")
}

// build renders a folder of those in memory.
func build(t *testing.T, fs filesys.FileSystem, dir string) []byte {
	t.Helper()
	resources, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(fs, filepath.Join("/repository", dir))
	if err != nil {
		t.Fatal(err)
	}
	out, err := resources.AsYaml()
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// objects are those of a YAML stream, by kind, namespace and name, without the labels
// that only Helm or only kustomize adds.
func objects(t *testing.T, stream []byte) map[string]map[string]any {
	t.Helper()
	out := map[string]map[string]any{}
	for _, document := range strings.Split("\n"+string(stream), "\n---") {
		var obj map[string]any
		if err := yaml.Unmarshal([]byte(document), &obj); err != nil {
			t.Fatalf("%v in\n%s", err, document)
		}
		if obj == nil {
			continue
		}
		kind, meta := obj["kind"].(string), obj["metadata"].(map[string]any)
		namespace, _ := meta["namespace"].(string)
		key := strings.Join([]string{kind, namespace, meta["name"].(string)}, " ")
		if out[key] != nil {
			t.Errorf("%s is there twice", key)
		}
		out[key] = ordered(withoutLabels(obj)).(map[string]any)
	}
	return out
}

// releaseLabels are on every object of the chart, and on none of kustomize's but the
// second.
var releaseLabels = []string{"helm.sh/chart", "app.kubernetes.io/part-of", "app.kubernetes.io/instance", "app.kubernetes.io/version", "app.kubernetes.io/managed-by"}

func withoutLabels(obj map[string]any) map[string]any {
	meta := obj["metadata"].(map[string]any)
	labels, _ := meta["labels"].(map[string]any)
	for _, l := range releaseLabels {
		delete(labels, l)
	}
	if len(labels) == 0 {
		delete(meta, "labels")
	}
	return obj
}

// compare reports where what the chart renders is not what kustomize does.
func compare(t *testing.T, want map[string]map[string]any, rendered chart.Rendered) {
	t.Helper()
	if rendered.Error != "" {
		t.Error(rendered.Error)
		return
	}
	if diff := cmp.Diff(want, objects(t, []byte(rendered.Manifest))); diff != "" {
		t.Errorf("objects (-kustomize +chart):\n%s", diff)
	}
}

// equal renders every installation by both and compares them.
func equal(t *testing.T, all map[string]installation) {
	t.Helper()
	var names []string
	var releases []chart.Release
	for name, i := range all {
		names = append(names, name)
		releases = append(releases, chart.Release{Namespace: i.namespace, Values: values{"namespaces.createSystem": true, "crd.install": false}.with(i.values).tree()})
	}
	rendered := renderChart(t, releases)
	fs := manifests(t)
	for n, name := range names {
		t.Run(name, func(t *testing.T) {
			want := objects(t, all[name].render(t, fs))
			delete(want, crd)
			compare(t, renamed(all[name], want), rendered[n])
		})
	}
}

// readValues reads a file of values below the chart.
func readValues(t *testing.T, name string) map[string]any {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(chartDir, name))
	if err != nil {
		t.Fatal(err)
	}
	var out map[string]any
	if err := yaml.UnmarshalStrict(data, &out); err != nil {
		t.Fatal(err)
	}
	return out
}
