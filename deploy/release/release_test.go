package main

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// root is the repository's, from this package.
const root = "../.."

var at = time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC)

// unpack reads an archive: what is in it by name, with its mode.
func unpack(t *testing.T, file string) map[string]string {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]string{}
	if strings.HasSuffix(file, ".zip") {
		z, err := zip.NewReader(bytes.NewReader(data), int64(len(data)))
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range z.File {
			in, err := f.Open()
			if err != nil {
				t.Fatal(err)
			}
			text, err := io.ReadAll(in)
			if err != nil {
				t.Fatal(err)
			}
			files[f.Name] = f.Mode().String() + " " + string(text)
		}
		return files
	}
	var in io.Reader = bytes.NewReader(data)
	if !strings.HasSuffix(file, ".tar") {
		if in, err = gzip.NewReader(in); err != nil {
			t.Fatal(err)
		}
	}
	for r := tar.NewReader(in); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return files
		}
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		files[h.Name] = os.FileMode(h.Mode).String() + " " + string(text)
	}
}

// TestArchives: whatever the order of its entries and the time of day, an archive of the
// same files is the same, and has them.
func TestArchives(t *testing.T) {
	big := filepath.Join(t.TempDir(), "big")
	if err := os.WriteFile(big, bytes.Repeat([]byte("0123456789"), 100_000), 0o600); err != nil {
		t.Fatal(err)
	}
	entries := []entry{{name: "b/run", mode: 0o755, data: []byte("run")}, {name: "a", mode: 0o644, file: big}, {name: "empty", mode: 0o644}}
	want := map[string]string{"b/run": "-rwxr-xr-x run", "a": "-rw-r--r-- " + strings.Repeat("0123456789", 100_000), "empty": "-rw-r--r-- "}
	for _, format := range []string{".tar", ".tar.gz", ".tgz", ".zip"} {
		t.Run(format, func(t *testing.T) {
			dir := t.TempDir()
			one, two := filepath.Join(dir, "one"+format), filepath.Join(dir, "two"+format)
			if err := writeArchive(one, entries, at); err != nil {
				t.Fatal(err)
			}
			turned := slices.Clone(entries)
			slices.Reverse(turned)
			if err := writeArchive(two, turned, at); err != nil {
				t.Fatal(err)
			}
			a, err := digest(one)
			if err != nil {
				t.Fatal(err)
			}
			if b, err := digest(two); err != nil || a != b {
				t.Errorf("two archives of the same files have the digests %s and %s (%v)", a, b, err)
			}
			if diff := cmp.Diff(want, unpack(t, one)); diff != "" {
				t.Errorf("it has other files (-want +got):\n%s", diff)
			}
		})
	}
	if err := writeArchive(filepath.Join(t.TempDir(), "one.rar"), nil, at); err == nil {
		t.Error("an archive of an unknown format was written")
	}
}

// TestManifests: the version is everywhere the same, and the sources in a release render
// to what the release has rendered.
func TestManifests(t *testing.T) {
	r := released(t)
	dir := t.TempDir()
	if err := r.manifests(dir); err != nil {
		t.Fatal(err)
	}
	name := "heteroaccel-" + r.version + "-kustomize"
	unpacked := t.TempDir()
	if out, err := exec.Command("tar", "-C", unpacked, "-xzf", filepath.Join(dir, name+".tar.gz")).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	images := regexp.MustCompile(`image: (heteroaccel/heteroaccel:.*)`)
	for end, source := range rendered {
		got, err := os.ReadFile(filepath.Join(dir, "heteroaccel-"+r.version+end+".yaml"))
		if err != nil {
			t.Fatal(err)
		}
		again, err := render(filepath.Join(unpacked, name), source)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(got), string(again)); diff != "" || len(got) == 0 {
			t.Errorf("%s renders to something else from the release's sources (-tree +release):\n%s", source, diff)
		}
		for _, found := range images.FindAllStringSubmatch(string(got), -1) {
			if found[1] != repository+":"+r.version {
				t.Errorf("%s has the image %s, and the release is %s", source, found[1], r.version)
			}
		}
	}
	chart := unpack(t, filepath.Join(dir, "heteroaccel-"+r.chart+".tgz"))
	for _, file := range []string{"Chart.yaml", "values.yaml", "values.schema.json", "templates/NOTES.txt", "README.md"} {
		if chart["heteroaccel/"+file] == "" {
			t.Errorf("the chart has no %s", file)
		}
	}
}

func released(t *testing.T) *release {
	t.Helper()
	t.Setenv("SOURCE_DATE_EPOCH", "1764158400")
	r, err := read(t.Context(), root)
	if err != nil {
		t.Fatal(err)
	}
	r.log = t.Logf
	return r
}

// TestChecksums: sha256sum agrees with them.
func TestChecksums(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"b", "a", "with space"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(name), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	list, err := checksums(dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := write(filepath.Join(dir, sums), list); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("sha256sum", "-c", "--strict", sums)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v: %s", err, out)
	}
	if n := bytes.Count(list, []byte("\n")); n != 3 {
		t.Errorf("%d checksums, want 3", n)
	}
}

// TestBundleReadme: every file that it names is in the bundle.
func TestBundleReadme(t *testing.T) {
	text, err := readme("v1.2.3", "1.2.3", nodes[0])
	if err != nil {
		t.Fatal(err)
	}
	has := map[string]bool{imageFile("v1.2.3", nodes[0]): true, "heteroaccel-1.2.3.tgz": true}
	for end := range rendered {
		has["heteroaccel-v1.2.3"+end+".yaml"] = true
	}
	files := regexp.MustCompile(`heteroaccel-v?[0-9][A-Za-z0-9.-]*\.(tar|tgz|yaml)`).FindAllString(string(text), -1)
	if len(files) < 4 {
		t.Errorf("it names only %v", files)
	}
	for _, f := range files {
		if !has[f] {
			t.Errorf("it names %s, which is not in the bundle", f)
		}
	}
}

// TestRestrict: of one platform its nodes' image and its command line program are made.
func TestRestrict(t *testing.T) {
	r := released(t)
	if err := r.restrict("linux/arm64"); err != nil {
		t.Fatal(err)
	}
	want := []platform{{"linux", "arm64"}}
	if !slices.Equal(r.nodes, want) || !slices.Equal(r.desks, want) || len(nodes) != 2 || len(desks) != 6 {
		t.Errorf("nodes %v, desks %v, want %v", r.nodes, r.desks, want)
	}
	if err := r.restrict(""); err != nil || !slices.Equal(r.nodes, want) {
		t.Errorf("nodes %v, %v", r.nodes, err)
	}
}

func TestRefused(t *testing.T) {
	t.Run("a directory with something else", func(t *testing.T) {
		dir := t.TempDir()
		file := filepath.Join(dir, "thesis.txt")
		if err := os.WriteFile(file, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := replaceable(dir); err == nil || !strings.Contains(err.Error(), "no release") {
			t.Errorf("it says %v", err)
		}
		if _, err := os.Stat(file); err != nil {
			t.Error(err)
		}
	})
	t.Run("a time that is none", func(t *testing.T) {
		t.Setenv("SOURCE_DATE_EPOCH", "yesterday")
		if _, err := read(t.Context(), root); err == nil || !strings.Contains(err.Error(), "SOURCE_DATE_EPOCH") {
			t.Errorf("it says %v", err)
		}
	})
	t.Run("another directory than the root", func(t *testing.T) {
		if _, err := read(t.Context(), t.TempDir()); err == nil || !strings.Contains(err.Error(), "root of the repository") {
			t.Errorf("it says %v", err)
		}
	})
	t.Run("a platform without nodes", func(t *testing.T) {
		if err := released(t).restrict("windows/amd64"); err == nil || !strings.Contains(err.Error(), "nodes are [linux/amd64 linux/arm64]") {
			t.Errorf("it says %v", err)
		}
	})
	t.Run("a program that does not compile", func(t *testing.T) {
		c := compiler{root: root, dir: t.TempDir(), version: "v1.2.3"}
		if _, err := c.compile(t.Context(), platform{"plan9", "386000"}, cli); err == nil || !strings.Contains(err.Error(), "compile heteroaccel for plan9/386000") {
			t.Errorf("it says %v", err)
		}
	})
}

// TestVersion: a compiled program says which release it is of.
func TestVersion(t *testing.T) {
	c := compiler{root: root, dir: t.TempDir(), version: "v1.2.3"}
	file, err := c.compile(t.Context(), nodes[0], cli)
	if err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(file, "version").CombinedOutput()
	if err != nil || string(out) != "heteroaccel v1.2.3\n" {
		t.Errorf("it says %q (%v)", out, err)
	}
}

// TestCommandLineEverywhere: what is no program of Linux alone compiles for the others.
func TestCommandLineEverywhere(t *testing.T) {
	c := compiler{root: root, dir: t.TempDir(), version: "v1.2.3"}
	if _, err := c.compile(t.Context(), platform{"windows", "amd64"}, cli); err != nil {
		t.Error(err)
	}
}
