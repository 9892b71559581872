package cluster

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestChoose(t *testing.T) {
	list := []controlPlane{{"controlplane", "v1.37.2"}, {"controlplane/1.36", "v1.36.3"}}
	for name, test := range map[string]struct{ minor, dir, fails string }{
		"none":      {"", "controlplane", ""},
		"newest":    {"1.37", "controlplane", ""},
		"older":     {"1.36", "controlplane/1.36", ""},
		"too old":   {"1.30", "", "KUBERNETES=1.30: there is no control plane of that version: use one of 1.37, 1.36"},
		"a patch":   {"1.36.3", "", "KUBERNETES=1.36.3"},
		"a numeral": {"1.3", "", "KUBERNETES=1.3:"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := choose(list, test.minor)
			if (err != nil) != (test.fails != "") || err != nil && !strings.Contains(err.Error(), test.fails) {
				t.Errorf("the error is %v, want %q", err, test.fails)
			}
			if got.dir != test.dir {
				t.Errorf("it is built in %q, want %q", got.dir, test.dir)
			}
		})
	}
}

// TestControlPlanes: a module is found by its directory, and one in the wrong place is
// refused, as it would be built under another version's name.
func TestControlPlanes(t *testing.T) {
	gomod := func(version string) string {
		return "module m\n\ngo 1.26.0\n\nrequire k8s.io/kubernetes " + version + "\n"
	}
	for name, test := range map[string]struct {
		files map[string]string // below e2e
		want  []string
		fails string
	}{
		"two":         {map[string]string{"controlplane": gomod("v1.37.2"), "controlplane/1.36": gomod("v1.36.3")}, []string{"1.37", "1.36"}, ""},
		"ten":         {map[string]string{"controlplane": gomod("v1.100.0"), "controlplane/1.99": gomod("v1.99.1")}, []string{"1.100", "1.99"}, ""},
		"wrong place": {map[string]string{"controlplane": gomod("v1.37.2"), "controlplane/1.36": gomod("v1.35.4")}, nil, "the directory of that is 1.35"},
		"not newest":  {map[string]string{"controlplane": gomod("v1.36.3"), "controlplane/1.37": gomod("v1.37.2")}, nil, "has to be the newest"},
		"no version":  {map[string]string{"controlplane": "module m\n"}, nil, "does not require k8s.io/kubernetes"},
		"none":        {nil, nil, "is missing"},
	} {
		t.Run(name, func(t *testing.T) {
			root := t.TempDir()
			for dir, text := range test.files {
				path := filepath.Join(root, "e2e", filepath.FromSlash(dir), "go.mod")
				if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			list, err := controlPlanes(root)
			if (err != nil) != (test.fails != "") || err != nil && !strings.Contains(err.Error(), test.fails) {
				t.Fatalf("the error is %v, want %q", err, test.fails)
			}
			if diff := cmp.Diff(test.want, minors(list)); diff != "" {
				t.Errorf("minors (-want +got):\n%s", diff)
			}
		})
	}
}
