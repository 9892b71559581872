package previous

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"os"
	"path/filepath"
	"testing"
)

// TestUnpack: files come with their folders, and none is written elsewhere.
func TestUnpack(t *testing.T) {
	written := func(t *testing.T, name string) (dir string, err error) {
		var b bytes.Buffer
		z := gzip.NewWriter(&b)
		w := tar.NewWriter(z)
		for _, h := range []*tar.Header{{Typeflag: tar.TypeDir, Name: "deploy/"}, {Typeflag: tar.TypeReg, Name: name, Size: 4}} {
			if err := w.WriteHeader(h); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := w.Write([]byte("text")); err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		if err := z.Close(); err != nil {
			t.Fatal(err)
		}
		dir = t.TempDir()
		file := filepath.Join(dir, "a.tar.gz")
		if err := os.WriteFile(file, b.Bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
		return dir, unpack(file, filepath.Join(dir, "tree"))
	}
	dir, err := written(t, "deploy/base/a.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile(filepath.Join(dir, "tree", "deploy", "base", "a.yaml")); err != nil || string(got) != "text" {
		t.Errorf("%q, %v", got, err)
	}
	dir, err = written(t, "../out")
	if _, there := os.Stat(filepath.Join(dir, "out")); err == nil || !os.IsNotExist(there) {
		t.Errorf("an entry leaves the directory: %v, %v", err, there)
	}
}
