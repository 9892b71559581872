package cluster

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"

	"golang.org/x/mod/modfile"
)

// modulePath is the module whose directory is the repository's root.
const modulePath = "heteroaccel.io"

// Root returns the repository's root directory: the nearest directory at or
// above the working directory with the project's go.mod.
func Root() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", fmt.Errorf("find the working directory: %w", err)
	}
	for {
		data, err := os.ReadFile(filepath.Join(dir, "go.mod"))
		if err == nil && modfile.ModulePath(data) == modulePath {
			return dir, nil
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return "", errors.New("the HeteroAccel repository was not found: run this from a directory inside it")
		}
		dir = parent
	}
}

// program is one of those compiled from a nested module.
type program struct {
	name    string // of the executable
	module  string // the directory below e2e of the module it is built in
	pkg     string // import path
	ldflags string
}

// kubernetesModule has the programs of Kubernetes.
const kubernetesModule = "k8s.io/kubernetes"

// programs are in the order they are compiled in: what kube-apiserver compiles
// the others of Kubernetes share.
func programs(kubernetesVersion string) []program {
	stamp := "-s -w -X k8s.io/component-base/version.gitVersion=" + kubernetesVersion
	var list []program
	for _, name := range []string{"kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubectl"} {
		list = append(list, program{name, "controlplane", kubernetesModule + "/cmd/" + name, stamp})
	}
	return append(list,
		program{"etcd", "controlplane", "go.etcd.io/etcd/server/v3", stamp},
		program{"kwok", "kwok", "sigs.k8s.io/kwok/cmd/kwok", "-s -w"})
}

// nodePrograms are what a real node runs of Kubernetes; only clusters of real
// nodes need them.
func nodePrograms(kubernetesVersion string) []program {
	stamp := "-s -w -X k8s.io/component-base/version.gitVersion=" + kubernetesVersion
	var list []program
	for _, name := range []string{"kubelet", "kube-proxy"} {
		list = append(list, program{name, "controlplane", kubernetesModule + "/cmd/" + name, stamp})
	}
	return list
}

// source is what determines the binaries.
type source struct {
	root       string
	kubernetes string // version
	digest     string // of both modules' go.mod and go.sum and of the flags
}

// readSource reads the nested modules below root/e2e.
func readSource(root string) (source, error) {
	s := source{root: root}
	sum := sha256.New()
	for _, module := range []string{"controlplane", "kwok"} {
		for _, name := range []string{"go.mod", "go.sum"} {
			path := filepath.Join(root, "e2e", module, name)
			data, err := os.ReadFile(path)
			if err != nil {
				return source{}, fmt.Errorf("read what the control plane is built from: %w", err)
			}
			fmt.Fprintf(sum, "%s/%s %d\n", module, name, len(data))
			sum.Write(data)
			if module != "controlplane" || name != "go.mod" {
				continue
			}
			file, err := modfile.Parse(path, data, nil)
			if err != nil {
				return source{}, fmt.Errorf("read what the control plane is built from: %w", err)
			}
			for _, r := range file.Require {
				if r.Mod.Path == kubernetesModule {
					s.kubernetes = r.Mod.Version
				}
			}
		}
	}
	if s.kubernetes == "" {
		return source{}, fmt.Errorf("%s/e2e/controlplane/go.mod does not require %s", root, kubernetesModule)
	}
	for _, p := range append(programs(s.kubernetes), nodePrograms(s.kubernetes)...) {
		fmt.Fprintf(sum, "%s %s %s %s\n", p.name, p.pkg, p.module, p.ldflags)
	}
	s.digest = fmt.Sprintf("%x", sum.Sum(nil))[:12]
	return s, nil
}

// key names the directory of the binaries; goVersion is as "go env GOVERSION"
// prints it.
func (s source) key(goVersion string) string {
	return fmt.Sprintf("kubernetes-%s-%s-%s-%s", s.kubernetes, goVersion, runtime.GOARCH, s.digest)
}
