package image

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
)

// TestStock: a stock program is where its official image has it, on the PATH, and its
// version is the tag.
func TestStock(t *testing.T) {
	b, dir := testBuilder(t), t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "etcd"), []byte("program"), 0o755); err != nil {
		t.Fatal(err)
	}
	i, err := b.stock(t.Context(), filepath.Join(dir, "etcd"), "v3.7.0")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"heteroaccel/etcd:v3.7.0"}, i.Names); diff != "" {
		t.Errorf("names (-want +got):\n%s", diff)
	}
	made, err := tarball.ImageFromPath(i.Path, nil)
	if err != nil {
		t.Fatal(err)
	}
	file, err := made.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	c := file.Config
	if diff := cmp.Diff([]any{[]string{"/usr/local/bin/etcd"}, []string{"PATH=/usr/local/bin"}, nobody}, []any{c.Entrypoint, c.Env, c.User}); diff != "" {
		t.Errorf("configuration (-want +got):\n%s", diff)
	}
	if _, err := b.stock(t.Context(), filepath.Join(dir, "etcd"), ""); err == nil {
		t.Error("an image without a version is built")
	}
}
