package chart

import (
	"archive/tar"
	"compress/gzip"
	"errors"
	"flag"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the chart's README.md")

// dir is the chart.
const dir = "../../deploy/helm/heteroaccel"

// valueFiles are the files of values that are checked, beside the defaults; "" for these.
var valueFiles = []string{"", dir + "/values-edge.yaml", dir + "/values-standard.yaml", "testdata/everything.yaml"}

func with(file string, args ...string) []string {
	args = append(args, "--namespace", "heteroaccel-system", "--kube-version", "v1.37.2")
	if file != "" {
		args = append(args, "--values", file)
	}
	return args
}

func installed(t *testing.T) (Helm, Linters) {
	t.Helper()
	h, err := InstallHelm(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	l, err := InstallLinters(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return h, l
}

// everything renders each object that the chart has.
func everything(t *testing.T, h Helm) string {
	t.Helper()
	out, err := h.Run(t.Context(), with("testdata/everything.yaml", "template", "heteroaccel", dir)...)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// files are the chart's, by their paths below it. They are read, so that a result that go
// test remembers is forgotten when one of them changes.
func files(t *testing.T) []string {
	t.Helper()
	var out []string
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		if _, err := os.ReadFile(path); err != nil {
			return err
		}
		below, err := filepath.Rel(dir, path)
		out = append(out, below)
		return err
	})
	if err != nil || len(out) < 40 {
		t.Fatalf("the chart has %d files: %v", len(out), err)
	}
	return out
}

// TestLint: Helm finds nothing, not even to warn of.
func TestLint(t *testing.T) {
	files(t)
	h, _ := installed(t)
	for _, f := range valueFiles {
		out, err := h.Run(t.Context(), with(f, "lint", "--strict", dir)...)
		if err != nil || strings.Contains(out, "[WARNING]") || !strings.Contains(out, "1 chart(s) linted, 0 chart(s) failed") {
			t.Errorf("%s: %v\n%s", f, err, out)
		}
	}
}

// TestConform: every object has only the fields that its kind has, in each
// version that the chart allows. Those of other projects, and profiles, are
// decoded in deploy/.
func TestConform(t *testing.T) {
	files(t)
	h, l := installed(t)
	manifests := everything(t, h)
	for _, version := range Versions {
		if err := l.Conform(t.Context(), version, manifests, []string{"InferenceProfile", "Issuer", "Certificate", "ServiceMonitor", "PodMonitor", "PrometheusRule"}); err != nil {
			t.Errorf("%s: %v", version, err)
		}
	}
	if l.Conform(t.Context(), Versions[0], strings.Replace(manifests, "terminationGracePeriodSeconds: 40", "gracePeriod: 40", 1), nil) == nil {
		t.Error("an unknown field is not found")
	}
}

// TestKubeVersion: what is tested may be installed on, and nothing older.
func TestKubeVersion(t *testing.T) {
	files(t)
	h, _ := installed(t)
	for version, refused := range map[string]bool{"v1.34.9": true, "v1.35.0": false, "v1.35.0-eks-1234": false, "v1.36.3": false, "v1.37.2": false} {
		_, err := h.Run(t.Context(), "template", "heteroaccel", dir, "--namespace", "heteroaccel-system", "--kube-version", version)
		if refused != (err != nil && strings.Contains(err.Error(), "requires kubeVersion: >=1.35.0-0")) || !refused && err != nil {
			t.Errorf("%s: %v", version, err)
		}
	}
}

// TestDocs: the chart's page is what its values and its template make of it.
func TestDocs(t *testing.T) {
	files(t)
	_, l := installed(t)
	want, err := l.Docs(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.WriteFile(filepath.Join(dir, "README.md"), []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(filepath.Join(dir, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, string(got)); diff != "" {
		t.Errorf("README.md is not up to date: make generate writes it (-want +got):\n%s", diff)
	}
}

// TestPackage: what is published is the chart's own files, and nothing else.
func TestPackage(t *testing.T) {
	var want []string
	for _, f := range files(t) {
		if f != "README.md.gotmpl" {
			want = append(want, "heteroaccel/"+filepath.ToSlash(f))
		}
	}
	h, _ := installed(t)
	to := t.TempDir()
	if _, err := h.Run(t.Context(), "package", dir, "--destination", to); err != nil {
		t.Fatal(err)
	}
	archive, err := os.Open(filepath.Join(to, "heteroaccel-0.1.0.tgz"))
	if err != nil {
		t.Fatal(err)
	}
	defer archive.Close()
	unzipped, err := gzip.NewReader(archive)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for r := tar.NewReader(unzipped); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, h.Name)
	}
	slices.Sort(want)
	slices.Sort(got)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("package (-want +got):\n%s", diff)
	}
}
