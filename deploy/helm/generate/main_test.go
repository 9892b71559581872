package main

import (
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const repository = "../../.."

// TestCurrent: what is committed is what would be generated, and nothing generated is
// left of a manifest that has gone.
func TestCurrent(t *testing.T) {
	want, err := all(repository)
	if err != nil {
		t.Fatal(err)
	}
	for path, text := range want {
		got, err := os.ReadFile(filepath.Join(repository, path))
		if err != nil {
			t.Error(err)
		}
		if diff := cmp.Diff(text, string(got)); diff != "" {
			t.Errorf("%s: run make generate (-want +got):\n%s", path, diff)
		}
	}
	byHand := []string{"_helpers.tpl", "check.yaml", "NOTES.txt"}
	templates := "deploy/helm/heteroaccel/templates"
	err = filepath.WalkDir(filepath.Join(repository, templates), func(path string, d fs.DirEntry, err error) error {
		below, _ := filepath.Rel(repository, path)
		if err == nil && !d.IsDir() && want[below] == "" && !slices.Contains(byHand, d.Name()) {
			t.Errorf("%s is neither generated nor written by hand", below)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestEveryManifest: a manifest that an overlay can have is in the chart, or is listed
// here with a reason.
func TestEveryManifest(t *testing.T) {
	used := map[string]bool{}
	for _, p := range pages() {
		used[p.from] = true
	}
	for _, dir := range []string{"deploy", "certs"} {
		err := filepath.WalkDir(filepath.Join(repository, dir), func(path string, d fs.DirEntry, err error) error {
			below, _ := filepath.Rel(repository, path)
			if err != nil || d.IsDir() || filepath.Ext(path) != ".yaml" {
				return err
			}
			text, err := os.ReadFile(path)
			if err == nil && strings.Contains(string(text), "\nspec:\n") && !used[below] && reason(below) == "" {
				t.Errorf("%s is not in the chart", below)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

// reason is why a manifest is not generated from; "" for none.
func reason(path string) string {
	for prefix, why := range map[string]string{
		"deploy/helm/":                        "the chart itself",
		"deploy/examples/":                    "pods to try",
		"deploy/registry/examples/":           "profiles to copy from",
		"deploy/prometheus/":                  "a Prometheus: charts of Prometheus' own are there",
		"deploy/scheduler/":                   "kube-scheduler's configuration",
		"deploy/webhook-client-ca/deployment": "a patch; the edits of the webhook's Deployment are the same",
		"deploy/extender-tls/deployment":      "a patch, likewise",
		"deploy/extender-replicas/deployment": "a patch, likewise",
		"deploy/external-use/daemonset":       "a patch, likewise",
		"deploy/device-driver/daemonset":      "a patch, likewise",
		"certs/webhook.yaml":                  "a patch, likewise",
	} {
		if strings.HasPrefix(path, prefix) {
			return why
		}
	}
	return ""
}

// TestTemplate: how a manifest becomes a template.
func TestTemplate(t *testing.T) {
	const manifest = "kind: X\nmetadata:\n  name: heteroaccel-exporter\n  namespace: heteroaccel-exporter\nspec:\n  a: '{{ x }}'\n  to: heteroaccel-exporter.heteroaccel-exporter:1\n"
	got, err := page{from: "x.yaml", when: ".Values.x", edits: []edit{{old: "  a: ", new: "  b: "}}}.template(manifest)
	if err != nil {
		t.Fatal(err)
	}
	want := `{{- /* Generated from x.yaml: change that, and run make generate. */}}
{{- if .Values.x }}
kind: X
metadata:
  name: heteroaccel-exporter
  namespace: {{ .Values.namespaces.exporter.name | quote }}
  labels:
    {{- include "heteroaccel.labels" $ | nindent 4 }}
spec:
  b: '{{ "{{" }} x }}'
  to: heteroaccel-exporter.{{ .Values.namespaces.exporter.name }}:1
{{- end }}
`
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if _, err := (page{edits: []edit{{old: "  a: "}, {old: "gone"}}}).template(manifest); err == nil || !strings.Contains(err.Error(), "is there 0 times, want 1") {
		t.Errorf("an edit that finds nothing: %v", err)
	}
}
