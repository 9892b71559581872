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
func (c controlPlane) programs() []program {
	list := c.kubernetes("kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubectl")
	return append(list,
		program{"etcd", c.dir, "go.etcd.io/etcd/server/v3", c.stamp()},
		program{"kwok", "kwok", "sigs.k8s.io/kwok/cmd/kwok", "-s -w"})
}

// nodePrograms are what a real node runs of Kubernetes; only clusters of real
// nodes need them.
func (c controlPlane) nodePrograms() []program { return c.kubernetes("kubelet", "kube-proxy") }

func (c controlPlane) kubernetes(names ...string) []program {
	var list []program
	for _, name := range names {
		list = append(list, program{name, c.dir, kubernetesModule + "/cmd/" + name, c.stamp()})
	}
	return list
}

// stamp has the linker write the version into a program, as releases do.
func (c controlPlane) stamp() string {
	return "-s -w -X k8s.io/component-base/version.gitVersion=" + c.version
}

// source is what determines the binaries.
type source struct {
	root string
	controlPlane
	digest string // of both modules' go.mod and go.sum and of the flags
}

// readSource reads the nested modules below root/e2e for a minor version of Kubernetes,
// "1.36", or "" for the newest.
func readSource(root, minor string) (source, error) {
	list, err := controlPlanes(root)
	if err != nil {
		return source{}, err
	}
	s := source{root: root}
	if s.controlPlane, err = choose(list, minor); err != nil {
		return source{}, err
	}
	sum := sha256.New()
	for _, module := range []string{s.dir, "kwok"} {
		for _, name := range []string{"go.mod", "go.sum"} {
			data, err := os.ReadFile(filepath.Join(root, "e2e", module, name))
			if err != nil {
				return source{}, fmt.Errorf("read what the control plane is built from: %w", err)
			}
			fmt.Fprintf(sum, "%s/%s %d\n", module, name, len(data))
			sum.Write(data)
		}
	}
	for _, p := range append(s.programs(), s.nodePrograms()...) {
		fmt.Fprintf(sum, "%s %s %s %s\n", p.name, p.pkg, p.module, p.ldflags)
	}
	s.digest = fmt.Sprintf("%x", sum.Sum(nil))[:12]
	return s, nil
}

// key names the directory of the binaries; goVersion is as "go env GOVERSION"
// prints it.
func (s source) key(goVersion string) string {
	return fmt.Sprintf("kubernetes-%s-%s-%s-%s", s.version, goVersion, runtime.GOARCH, s.digest)
}
