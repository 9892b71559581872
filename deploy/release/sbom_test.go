package main

import (
	"bytes"
	"os"
	"strings"
	"testing"

	spdxjson "github.com/spdx/tools-golang/json"
	"github.com/spdx/tools-golang/spdxlib"
)

// TestBillOfMaterials: it names the modules of a program, and a reader of others takes it.
func TestBillOfMaterials(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	goVersion, modules, err := modulesOf(self)
	if err != nil {
		t.Fatal(err)
	}
	b := bom{version: "v1.2.3", revision: "abc", digest: "sha256:" + strings.Repeat("0", 64), at: at, goVersion: goVersion, programs: map[string][]module{"webhook": modules, "exporter": modules[:1]}}
	text, err := b.document()
	if err != nil {
		t.Fatal(err)
	}
	doc, err := spdxjson.Read(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	if err := spdxlib.ValidateDocument(doc); err != nil {
		t.Error(err)
	}
	if want := 3 + 1 + len(modules); len(doc.Packages) != want || len(modules) < 3 {
		t.Errorf("it has %d packages, want %d: the image, two programs, Go and %d modules", len(doc.Packages), want, len(modules))
	}
	found := false
	for _, p := range doc.Packages {
		if p.PackageName != "github.com/google/go-containerregistry" {
			continue
		}
		found = true
		if want := "pkg:golang/github.com/google/go-containerregistry@" + p.PackageVersion; len(p.PackageExternalReferences) != 1 || p.PackageExternalReferences[0].Locator != want {
			t.Errorf("its reference is not %s", want)
		}
	}
	if !found {
		t.Error("it lacks a module that this program has")
	}
	ids := map[string]bool{}
	for _, p := range doc.Packages {
		if ids[string(p.PackageSPDXIdentifier)] {
			t.Errorf("two packages are %s", p.PackageSPDXIdentifier)
		}
		ids[string(p.PackageSPDXIdentifier)] = true
	}
	again, err := b.document()
	if err != nil || !bytes.Equal(text, again) {
		t.Errorf("a second one differs: %v", err)
	}
}
