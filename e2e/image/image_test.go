package image

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/v1/tarball"

	"heteroaccel.io/e2e/cluster"
)

func testBuilder(t *testing.T) *builder {
	t.Helper()
	return &builder{dir: t.TempDir(), report: cluster.NewProgress(nil)}
}

// hello is a recipe of one layer with one file of the given text.
func hello(text string) recipe {
	return recipe{
		name:   "hello",
		names:  []string{"heteroaccel/hello:a", "heteroaccel/hello:b"},
		config: config{Entrypoint: []string{"/hello"}, Env: []string{"A=b"}, User: nobody, WorkingDir: "/"},
		layers: []layer{{name: "files", from: text, fill: func(context.Context, string) (*tree, error) {
			t := newTree()
			t.add("usr/bin/hello", 0o755, []byte(text))
			return t, nil
		}}},
	}
}

func TestAnArchiveHasAllNamesOfOneImage(t *testing.T) {
	b := testBuilder(t)
	image, err := b.build(t.Context(), hello("hello"))
	if err != nil {
		t.Fatal(err)
	}
	manifest, err := tarball.LoadManifest(func() (io.ReadCloser, error) { return os.Open(image.Path) })
	if err != nil {
		t.Fatal(err)
	}
	if len(manifest) != 1 {
		t.Fatalf("the archive has %d images, want 1", len(manifest))
	}
	slices.Sort(manifest[0].RepoTags) // their order means nothing
	if diff := cmp.Diff(image.Names, manifest[0].RepoTags); diff != "" {
		t.Errorf("names (-want +got):\n%s", diff)
	}
	loaded, err := tarball.ImageFromPath(image.Path, nil)
	if err != nil {
		t.Fatal(err)
	}
	file, err := loaded.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	got := []any{file.OS, file.Architecture, file.Config.Entrypoint, file.Config.User, file.Config.Env, file.Config.WorkingDir}
	want := []any{"linux", goarch, []string{"/hello"}, nobody, []string{"A=b"}, "/"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("configuration (-want +got):\n%s", diff)
	}
}

func TestTheSameInputMakesTheSameImage(t *testing.T) {
	var digests []string
	for range 2 {
		built, err := testBuilder(t).build(t.Context(), hello("hello"))
		if err != nil {
			t.Fatal(err)
		}
		image, err := tarball.ImageFromPath(built.Path, nil)
		if err != nil {
			t.Fatal(err)
		}
		digest, err := image.Digest()
		if err != nil {
			t.Fatal(err)
		}
		digests = append(digests, digest.String())
	}
	if digests[0] != digests[1] {
		t.Errorf("two builds of one recipe have digests %q", digests)
	}
}

func TestTheCacheIsKnownByTheContents(t *testing.T) {
	b := testBuilder(t)
	first, err := b.build(t.Context(), hello("hello"))
	if err != nil {
		t.Fatal(err)
	}
	again := hello("hello")
	again.layers[0].fill = func(context.Context, string) (*tree, error) {
		return nil, errors.New("recreated")
	}
	if image, err := b.build(t.Context(), again); err != nil || image.Path != first.Path {
		t.Errorf("the second build gives %q, %v, want %q from the cache", image.Path, err, first.Path)
	}
	again.names = again.names[:1]
	if image, err := b.build(t.Context(), again); err != nil || image.Path == first.Path {
		t.Errorf("with another name the build gives %q, %v, want another archive of the same layer", image.Path, err)
	}
	if image, err := b.build(t.Context(), hello("bye")); err != nil || image.Path == first.Path {
		t.Errorf("with other contents the build gives %q, %v, want another archive", image.Path, err)
	}
}

func TestAFailedBuildLeavesNothing(t *testing.T) {
	b := testBuilder(t)
	r := hello("hello")
	broken := errors.New("broken")
	r.layers[0].fill = func(_ context.Context, work string) (*tree, error) {
		return nil, errors.Join(broken, os.WriteFile(filepath.Join(work, "half"), nil, 0o644))
	}
	if _, err := b.build(t.Context(), r); !errors.Is(err, broken) {
		t.Fatalf("got %v, want the layer's error", err)
	}
	wantFiles(t, b, "hello.lock")
}

func TestTheRemainsOfAKilledBuildAndOldImagesGo(t *testing.T) {
	b := testBuilder(t)
	old := time.Now().Add(-unused - time.Hour)
	for _, name := range []string{halfBuilt + "hello-1/layer/half", "hello-old.tar", halfBuilt + "other-1/layer/half", "other-old.tar"} {
		path := filepath.Join(b.dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, nil, 0o644); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(path, old, old); err != nil {
			t.Fatal(err)
		}
	}
	r := hello("hello")
	image, err := b.build(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	wantFiles(t, b, halfBuilt+"other-1", filepath.Base(image.Path), "hello-files-"+r.layers[0].key()+".tar.gz", "hello.lock", "other-old.tar")
}

// wantFiles checks which files the cache has, in order of name.
func wantFiles(t *testing.T, b *builder, want ...string) {
	t.Helper()
	entries, err := os.ReadDir(b.dir)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range entries {
		got = append(got, e.Name())
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("files in the cache (-want +got):\n%s", diff)
	}
}

func TestATreeIsWrittenInOrder(t *testing.T) {
	var in bytes.Buffer
	w := tar.NewWriter(&in)
	for _, h := range []tar.Header{
		{Typeflag: tar.TypeDir, Name: "./", Mode: 0o755},
		{Typeflag: tar.TypeReg, Name: "./usr/bin/perl5", Mode: 0o755, Uid: 7, ModTime: time.Now()},
		{Typeflag: tar.TypeLink, Name: "./bin/perl", Linkname: "./usr/bin/perl5"},
		{Typeflag: tar.TypeSymlink, Name: "./lib/a.so", Linkname: "a.so.1"},
		{Typeflag: tar.TypeChar, Name: "./dev/null"},
		{Typeflag: tar.TypeReg, Name: "./usr/share/doc/perl/README"},
		{Typeflag: tar.TypeDir, Name: "./tmp", Mode: 0o1777},
	} {
		if err := w.WriteHeader(&h); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	tr := newTree()
	d := debian{}
	if err := tr.addTar(&in, func(name string) bool { return d.keeps("perl", name) }); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := tr.write(&out); err != nil {
		t.Fatal(err)
	}
	var got []string
	for r := tar.NewReader(&out); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		if h.Uid != 0 || h.ModTime.Unix() != 0 {
			t.Errorf("%s has owner %d and time %s", h.Name, h.Uid, h.ModTime)
		}
		got = append(got, strings.TrimSpace(h.Name+" "+h.Linkname))
	}
	want := []string{"bin/", "lib/", "lib/a.so a.so.1", "tmp/", "usr/", "usr/bin/", "usr/bin/perl5", "bin/perl usr/bin/perl5"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("entries (-want +got):\n%s", diff)
	}
}

func TestWhatAPackageKeeps(t *testing.T) {
	d := debian{Files: map[string][]string{"coreutils": {"bin/sleep"}}, Prune: []string{"etc/default/"}}
	for name, test := range map[string]struct {
		pkg, path string
		want      bool
	}{
		"a file":                    {"libc6", "lib/libc.so.6", true},
		"documentation":             {"libc6", "usr/share/doc/libc6/copyright", false},
		"the directory itself":      {"libc6", "usr/share/doc", false},
		"what is pruned":            {"libc6", "etc/default/x", false},
		"what is taken of a few":    {"coreutils", "bin/sleep", true},
		"what is not taken of them": {"coreutils", "bin/cat", false},
	} {
		t.Run(name, func(t *testing.T) {
			if got := d.keeps(test.pkg, test.path); got != test.want {
				t.Errorf("keeps(%q, %q) = %v, want %v", test.pkg, test.path, got, test.want)
			}
		})
	}
}

func TestErrorsSayWhatToDo(t *testing.T) {
	failed := errors.New("exit status 100")
	for name, test := range map[string]struct{ program, said, want string }{
		"apt without a network": {"apt-get", "E: Failed to fetch x  Could not resolve 'mirror'", "check the network connection"},
		"pip without a network": {"python3", "WARNING: Retrying after NewConnectionError", "check the network connection"},
		"no pip":                {"python3", "/usr/bin/python3: No module named pip", "apt-get install python3-pip"},
		"a full disk":           {"apt-get", "write: No space left on device", "free about 2 GB"},
		"another Debian":        {"apt-get", "E: Unable to locate package python3.11-minimal", "Debian 12"},
		"anything else":         {"dpkg-deb", "dpkg-deb: error: not a package", "not a package"},
	} {
		t.Run(name, func(t *testing.T) {
			if err := explain(test.program, failed, test.said); !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %q, want it to say %q", err, test.want)
			}
		})
	}
	t.Setenv("PATH", t.TempDir())
	for program := range missing {
		if err := run(t.Context(), t.TempDir(), nil, program); err == nil || !strings.HasPrefix(err.Error(), program+" was not found: ") {
			t.Errorf("without %s: got %v, want that it was not found and what to do", program, err)
		}
	}
}

func TestAnUnknownImageIsRefused(t *testing.T) {
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	if _, err := Build(t.Context(), Options{}, "nothing"); err == nil || !strings.Contains(err.Error(), "device-plugin") {
		t.Errorf("got %v, want an error that names the images", err)
	}
	if _, err := Build(t.Context(), Options{Programs: t.TempDir()}, HeteroAccel); err == nil || !strings.Contains(err.Error(), "make build") {
		t.Errorf("got %v, want an error that says to compile the programs", err)
	}
}
