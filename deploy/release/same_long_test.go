//go:build long

package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestReleaseIsTheSame makes a release in two directories with two caches of
// compiled packages, and compares every file.
func TestReleaseIsTheSame(t *testing.T) {
	first, err := os.ReadFile(filepath.Join(releaseIn(t), sums))
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("GOCACHE", t.TempDir())
	second, err := os.ReadFile(filepath.Join(releaseIn(t), sums))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(first), string(second)); diff != "" {
		t.Errorf("two builds differ (-first +second):\n%s", diff)
	}
}

// releaseIn makes a release from a copy of the tree and returns its directory.
func releaseIn(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	copied := filepath.Join(dir, "tree")
	if out, err := exec.Command("sh", "-c", `cd ../.. && git ls-files -z --cached --others --exclude-standard | tar --null -T - -c | (mkdir "$1" && tar -C "$1" -x)`, "sh", copied).CombinedOutput(); err != nil {
		t.Fatalf("copy the tree: %v: %s", err, out)
	}
	r := released(t)
	r.root = copied
	out := filepath.Join(dir, "release")
	if err := r.assemble(t.Context(), out); err != nil {
		t.Fatal(err)
	}
	return out
}
