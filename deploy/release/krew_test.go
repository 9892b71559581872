package main

import (
	"fmt"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"
)

// TestKrew: the manifest has each platform's archive with its checksum, and names what is
// in it; it is what Krew accepts.
func TestKrew(t *testing.T) {
	r := released(t)
	r.url = "https://releases.example/v1/"
	dir := t.TempDir()
	compiled := binaries{}
	for _, p := range r.desks {
		file := filepath.Join(t.TempDir(), "compiled")
		if err := os.WriteFile(file, []byte(p.String()), 0o600); err != nil {
			t.Fatal(err)
		}
		compiled[p] = map[string]string{cli: file}
	}
	if err := r.clis(compiled, dir); err != nil {
		t.Fatal(err)
	}
	if err := r.krew(dir); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(dir, krewFile(r.version)))
	if err != nil {
		t.Fatal(err)
	}
	var m plugin
	if err := yaml.UnmarshalStrict(text, &m); err != nil {
		t.Fatal(err)
	}
	// What Krew requires of a manifest: the API's version, a name that a file can have, a
	// version with a v, one line of description, and of each platform an archive of a format
	// that it knows.
	if m.APIVersion != "krew.googlecontainertools.github.com/v1alpha2" || m.Kind != "Plugin" || !regexp.MustCompile(`^[a-z0-9-]+$`).MatchString(m.Metadata["name"]) ||
		!regexp.MustCompile(`^v\d+\.\d+\.\d+$`).MatchString(m.Spec.Version) || m.Spec.ShortDescription == "" || strings.Contains(m.Spec.ShortDescription, "\n") {
		t.Errorf("Krew would not accept\n%s", text)
	}
	seen := map[string]bool{}
	for _, p := range m.Spec.Platforms {
		on := p.Selector.MatchLabels["os"] + "/" + p.Selector.MatchLabels["arch"]
		seen[on] = true
		archive := filepath.Join(dir, path.Base(p.URI))
		sum, err := digest(archive)
		if err != nil || sum != p.SHA256 || len(p.SHA256) != 64 {
			t.Errorf("%s: the checksum of %s is %s, and the manifest has %s, %v", on, p.URI, sum, p.SHA256, err)
		}
		if !strings.HasPrefix(p.URI, "https://releases.example/v1/heteroaccel-") || !strings.HasSuffix(p.URI, ".tar.gz") && !strings.HasSuffix(p.URI, ".zip") {
			t.Errorf("%s: it is at %s", on, p.URI)
		}
		files := unpack(t, archive)
		if want := "-rwxr-xr-x " + on; files[p.Bin] != want {
			t.Errorf("%s: %s is %q, want %q", on, p.Bin, files[p.Bin], want)
		}
		for _, f := range p.Files {
			if files[f.From] == "" || f.To != "." {
				t.Errorf("%s: the archive has no %s for %s", on, f.From, f.To)
			}
		}
	}
	for _, system := range []string{"linux", "darwin", "windows"} {
		for _, arch := range []string{"amd64", "arm64"} {
			if on := fmt.Sprintf("%s/%s", system, arch); !seen[on] {
				t.Errorf("there is nothing for %s", on)
			}
		}
	}
}
