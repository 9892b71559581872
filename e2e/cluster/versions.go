package cluster

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// Versions are those of what Build compiles here, by program: "v1.37.2" for those of
// Kubernetes, if the environment chooses no older minor.
func Versions() (map[string]string, error) {
	root, err := Root()
	if err != nil {
		return nil, err
	}
	src, err := readSource(root, os.Getenv(Kubernetes))
	if err != nil {
		return nil, err
	}
	return src.versions()
}

func (s source) versions() (map[string]string, error) {
	versions := map[string]string{}
	for _, p := range append(s.programs(), s.nodePrograms()...) {
		path := filepath.Join(s.root, "e2e", p.module, "go.mod")
		required, err := requirements(path)
		if err != nil {
			return nil, fmt.Errorf("read the version of %s: %w", p.name, err)
		}
		for module, version := range required {
			if strings.HasPrefix(p.pkg+"/", module+"/") {
				versions[p.name] = version
			}
		}
		if versions[p.name] == "" {
			return nil, fmt.Errorf("%s does not require the module of %s", path, p.name)
		}
	}
	return versions, nil
}
