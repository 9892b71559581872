package conventions

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"heteroaccel.io/cli/check"
	"heteroaccel.io/e2e/chart"
	"heteroaccel.io/e2e/cluster"
)

// TestKubernetesVersions: the minor versions that control planes are built of have a make
// target each, which test-all runs, and are those that the pages, the chart and
// heteroaccel check speak of.
func TestKubernetesVersions(t *testing.T) {
	minors, err := cluster.Minors()
	if err != nil {
		t.Fatal(err)
	}
	if len(minors) < 3 {
		t.Fatalf("only %v are tested", minors)
	}
	newest, oldest := minors[0], minors[len(minors)-1]
	makefile := read(t, "Makefile")
	older := "e2e-" + strings.Join(minors[1:], " e2e-")
	for _, line := range []string{"\ne2e-older: " + older + " ##", "\n" + older + ": e2e-%:\n"} {
		if !strings.Contains(makefile, line) {
			t.Errorf("the Makefile has no %q", line)
		}
	}
	_, all, _ := strings.Cut(makefile, "\ntest-all:")
	all, _, _ = strings.Cut(all, "##")
	if !slices.Contains(strings.Fields(all), "e2e-older") {
		t.Errorf("test-all needs %s, and not e2e-older", all)
	}
	if check.Oldest != oldest {
		t.Errorf("heteroaccel check accepts %s, and the oldest that is tested is %s", check.Oldest, oldest)
	}
	var schemas []string
	for _, v := range chart.Versions {
		schemas = append(schemas, strings.TrimSuffix(v, ".0"))
	}
	slices.Reverse(schemas)
	if diff := cmp.Diff(minors, schemas); diff != "" {
		t.Errorf("versions whose schemas the chart is checked with (-want +got):\n%s", diff)
	}
	for _, minor := range minors {
		t.Setenv(cluster.Kubernetes, minor)
		versions, err := cluster.Versions()
		if err != nil {
			t.Fatal(err)
		}
		if patch := strings.TrimPrefix(versions["kube-apiserver"], "v"); !strings.Contains(read(t, "docs/install.md"), patch) {
			t.Errorf("docs/install.md does not say that %s is tested", patch)
		}
	}
	t.Setenv(cluster.Kubernetes, newest)
	versions, err := cluster.Versions()
	if err != nil {
		t.Fatal(err)
	}
	for _, download := range []string{
		"/release/" + versions["kube-apiserver"] + "/bin/", "/releases/download/" + versions["kwok"] + "/kwok-",
		"/releases/download/" + versions["etcd"] + "/etcd-" + versions["etcd"] + "-", " etcd-" + versions["etcd"] + "-",
	} {
		if !strings.Contains(read(t, "docs/development.md"), download) {
			t.Errorf("docs/development.md downloads no %s", download)
		}
	}
	for page, want := range map[string]string{
		"deploy/helm/heteroaccel/Chart.yaml": "\nkubeVersion: \">=" + oldest + ".0-0\"\n",
		"README.md":                          "\n- Kubernetes " + oldest + " to " + newest + " on Linux nodes",
		"docs/install.md":                    "\n| Kubernetes | " + oldest + " to " + newest + ": ",
		"docs/development.md":                "\n| `make e2e-older` | `e2e` alone on " + strings.Join(minors[1:], " and "),
	} {
		if !strings.Contains(read(t, page), want) {
			t.Errorf("%s has no %q", page, want)
		}
	}
}
