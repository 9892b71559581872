package main

import (
	"bytes"
	"debug/buildinfo"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"

	spdxjson "github.com/spdx/tools-golang/json"
	"github.com/spdx/tools-golang/spdx/v2/common"
	spdx "github.com/spdx/tools-golang/spdx/v2/v2_3"
)

// module is a Go module that is compiled into something.
type module struct{ path, version string }

// modulesOf reads from a program what it was compiled from, and by which Go.
func modulesOf(file string) (goVersion string, modules []module, err error) {
	info, err := buildinfo.ReadFile(file)
	if err != nil {
		return "", nil, fmt.Errorf("read what %s was compiled from: %w", file, err)
	}
	for _, m := range info.Deps {
		if m.Replace != nil {
			m = m.Replace
		}
		modules = append(modules, module{m.Path, m.Version})
	}
	return info.GoVersion, modules, nil
}

// id is what SPDX allows in an identifier: letters, digits, "." and "-".
func id(parts ...string) common.ElementID {
	return common.ElementID(regexp.MustCompile(`[^A-Za-z0-9.-]+`).ReplaceAllString(strings.Join(parts, "-"), "-"))
}

// bom is what the software bill of materials says: what each program was compiled
// from, by the programs' names, and the digest of the image that they are in.
type bom struct {
	version, revision, digest string
	at                        time.Time
	goVersion                 string
	programs                  map[string][]module
}

// document is the bill as SPDX 2.3. Source: https://spdx.github.io/spdx-spec/v2.3/.
// Licenses of modules are not concluded here.
func (b bom) document() ([]byte, error) {
	const none = "NOASSERTION"
	pkg := func(id common.ElementID, name, version, purl string) *spdx.Package {
		p := &spdx.Package{
			PackageName: name, PackageSPDXIdentifier: id, PackageVersion: version,
			PackageDownloadLocation: none, PackageLicenseConcluded: none, PackageLicenseDeclared: none, PackageCopyrightText: none,
		}
		if purl != "" {
			p.PackageExternalReferences = []*spdx.PackageExternalReference{{Category: common.CategoryPackageManager, RefType: common.TypePackageManagerPURL, Locator: purl}}
		}
		return p
	}
	related := func(a common.ElementID, how string, b common.ElementID) *spdx.Relationship {
		return &spdx.Relationship{RefA: common.MakeDocElementID("", string(a)), Relationship: how, RefB: common.MakeDocElementID("", string(b))}
	}
	d := &spdx.Document{
		SPDXVersion: spdx.Version, DataLicense: spdx.DataLicense, SPDXIdentifier: "DOCUMENT",
		DocumentName:      "heteroaccel-" + b.version,
		DocumentNamespace: "https://heteroaccel.io/spdx/heteroaccel-" + b.version + "-" + b.revision,
		CreationInfo: &spdx.CreationInfo{
			Created:  b.at.UTC().Format(time.RFC3339),
			Creators: []common.Creator{{CreatorType: "Organization", Creator: "HeteroAccel"}, {CreatorType: "Tool", Creator: "make-release"}},
		},
	}
	image := pkg("Image", repository, b.version, "")
	image.PackageLicenseDeclared, image.PrimaryPackagePurpose = "Apache-2.0", "CONTAINER"
	image.PackageChecksums = []common.Checksum{{Algorithm: common.SHA256, Value: strings.TrimPrefix(b.digest, "sha256:")}}
	d.Packages = append(d.Packages, image)
	d.Relationships = append(d.Relationships, related("DOCUMENT", common.TypeRelationshipDescribe, "Image"))

	std := module{"stdlib", strings.TrimPrefix(b.goVersion, "go")}
	known := map[module]bool{}
	for _, name := range slices.Sorted(maps.Keys(b.programs)) {
		program := id("Program", name)
		p := pkg(program, name, b.version, "")
		p.PackageLicenseDeclared, p.PrimaryPackagePurpose = "Apache-2.0", "APPLICATION"
		d.Packages = append(d.Packages, p)
		d.Relationships = append(d.Relationships, related("Image", common.TypeRelationshipContains, program))
		for _, m := range append([]module{std}, b.programs[name]...) {
			known[m] = true
			d.Relationships = append(d.Relationships, related(program, common.TypeRelationshipDependsOn, id("Module", m.path, m.version)))
		}
	}
	for _, m := range slices.SortedFunc(maps.Keys(known), func(a, b module) int { return strings.Compare(a.path+"@"+a.version, b.path+"@"+b.version) }) {
		d.Packages = append(d.Packages, pkg(id("Module", m.path, m.version), m.path, m.version, "pkg:golang/"+m.path+"@"+m.version))
	}
	var out bytes.Buffer
	if err := spdxjson.Write(d, &out, spdxjson.Indent("  ")); err != nil {
		return nil, fmt.Errorf("write the bill of materials: %w", err)
	}
	return out.Bytes(), nil
}
