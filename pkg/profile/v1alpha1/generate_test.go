package v1alpha1_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestGenerated regenerates what "go generate" does, so that the types, their
// copies and the CRD cannot drift apart.
func TestGenerated(t *testing.T) {
	dir := t.TempDir()
	cmd := exec.Command("go", "tool", "controller-gen", "object", "crd:allowDangerousTypes=true", "paths=.",
		"output:object:dir="+dir, "output:crd:dir="+dir)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("controller-gen: %v\n%s", err, out)
	}
	for name, checkedIn := range map[string]string{
		"zz_generated.deepcopy.go":              ".",
		"heteroaccel.io_inferenceprofiles.yaml": "../../../deploy/base/crd",
	} {
		want, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		got, err := os.ReadFile(filepath.Join(checkedIn, name))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(want), string(got)); diff != "" {
			t.Errorf("%s is not what the types say; run \"go generate ./pkg/profile/v1alpha1\" (-want +got):\n%s", name, diff)
		}
	}
}
