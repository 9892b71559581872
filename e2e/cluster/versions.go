package cluster

import (
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/mod/modfile"
)

// Versions are those of what Build compiles, by program: "v1.37.2" for those of
// Kubernetes.
func Versions() (map[string]string, error) {
	root, err := Root()
	if err != nil {
		return nil, err
	}
	src, err := readSource(root)
	if err != nil {
		return nil, err
	}
	versions := map[string]string{}
	for _, p := range programs(src.kubernetes) {
		path := filepath.Join(root, "e2e", p.module, "go.mod")
		data, err := os.ReadFile(path)
		if err != nil {
			return nil, fmt.Errorf("read the version of %s: %w", p.name, err)
		}
		file, err := modfile.Parse(path, data, nil)
		if err != nil {
			return nil, fmt.Errorf("read the version of %s: %w", p.name, err)
		}
		for _, r := range file.Require {
			if p.pkg == r.Mod.Path || len(p.pkg) > len(r.Mod.Path) && p.pkg[:len(r.Mod.Path)+1] == r.Mod.Path+"/" {
				versions[p.name] = r.Mod.Version
			}
		}
		if versions[p.name] == "" {
			return nil, fmt.Errorf("%s does not require the module of %s", path, p.name)
		}
	}
	return versions, nil
}
