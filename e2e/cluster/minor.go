package cluster

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/mod/modfile"
	"golang.org/x/mod/semver"
)

// Kubernetes is the environment variable that chooses the minor version of the control
// plane, "1.36", among those of Minors. Unset or empty, it is the newest.
const Kubernetes = "KUBERNETES"

// newest is the directory below e2e of the module of the newest minor. Those of older ones
// are in directories of it, by their names.
const newest = "controlplane"

// controlPlane is a module that the programs of one minor are compiled in.
type controlPlane struct {
	dir     string // below e2e
	version string // of Kubernetes: "v1.36.3"
}

// minor is "1.36".
func (c controlPlane) minor() string { return strings.TrimPrefix(semver.MajorMinor(c.version), "v") }

// Minors are the minor versions of Kubernetes that a control plane can be of, newest
// first: "1.37".
func Minors() ([]string, error) {
	root, err := Root()
	if err != nil {
		return nil, err
	}
	list, err := controlPlanes(root)
	return minors(list), err
}

// controlPlanes are those of the modules below root/e2e, newest first.
func controlPlanes(root string) ([]controlPlane, error) {
	older, err := filepath.Glob(filepath.Join(root, "e2e", newest, "*", "go.mod"))
	if err != nil {
		return nil, fmt.Errorf("look for the modules of control planes: %w", err)
	}
	var list []controlPlane
	for _, path := range append(older, filepath.Join(root, "e2e", newest, "go.mod")) {
		required, err := requirements(path)
		if err != nil {
			return nil, err
		}
		dir, err := filepath.Rel(filepath.Join(root, "e2e"), filepath.Dir(path))
		if err != nil {
			return nil, fmt.Errorf("name the module of a control plane: %w", err)
		}
		c := controlPlane{filepath.ToSlash(dir), required[kubernetesModule]}
		switch {
		case c.version == "":
			return nil, fmt.Errorf("%s does not require %s", path, kubernetesModule)
		case c.dir != newest && c.dir != newest+"/"+c.minor():
			return nil, fmt.Errorf("%s requires %s %s: the directory of that is %s", path, kubernetesModule, c.version, c.minor())
		}
		list = append(list, c)
	}
	slices.SortFunc(list, func(a, b controlPlane) int { return semver.Compare(b.version, a.version) })
	if list[0].dir != newest {
		return nil, fmt.Errorf("%s is newer than e2e/%s, which has to be the newest", list[0].dir, newest)
	}
	return list, nil
}

// choose returns the control plane of a minor, the first of the list if it is "".
func choose(list []controlPlane, minor string) (controlPlane, error) {
	want := cmp.Or(minor, list[0].minor())
	for _, c := range list {
		if c.minor() == want {
			return c, nil
		}
	}
	return controlPlane{}, fmt.Errorf("%s=%s: there is no control plane of that version: use one of %s", Kubernetes, minor, strings.Join(minors(list), ", "))
}

func minors(list []controlPlane) []string {
	var names []string
	for _, c := range list {
		names = append(names, c.minor())
	}
	return names
}

// requirements are the versions that a go.mod requires, by module.
func requirements(path string) (map[string]string, error) {
	data, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("%s is missing: the checkout is not whole", path)
	}
	if err != nil {
		return nil, fmt.Errorf("read the versions of a module: %w", err)
	}
	file, err := modfile.Parse(path, data, nil)
	if err != nil {
		return nil, fmt.Errorf("read the versions of a module: %w", err)
	}
	required := map[string]string{}
	for _, r := range file.Require {
		required[r.Mod.Path] = r.Mod.Version
	}
	return required, nil
}
