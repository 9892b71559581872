package nodes

import (
	"context"
	"os"
	"path/filepath"

	"heteroaccel.io/e2e/cache"
	"heteroaccel.io/e2e/cluster"
)

// Runtime is the containerd of a node: the directory of its programs, or Debian for the
// system's own.
type Runtime string

// Debian is the containerd that is installed on this computer. Debian 12's gives containers
// no device by CDI, and ignores it when it is asked to.
const Debian Runtime = ""

// containerdModule is where containerd 2 is compiled, from the repository's root.
const containerdModule = "e2e/containerd"

// containerdPrograms are the programs of it that a node runs. runc is the system's.
var containerdPrograms = []string{"containerd", "containerd-shim-runc-v2", "ctr"}

// Containerd2 compiles containerd 2, which gives containers devices by CDI, unless the
// cache has it. From nothing it takes a minute or two.
func Containerd2(ctx context.Context, report *cluster.Progress) (Runtime, error) {
	root, err := cluster.Root()
	if err != nil {
		return "", err
	}
	dir, err := cache.Of("containerd", root, []string{containerdModule + "/go.sum"}, func(dir string) error {
		defer report.Show("compiling containerd 2, once")()
		for _, name := range containerdPrograms {
			from := cluster.Static{Package: "github.com/containerd/containerd/v2/cmd/" + name}
			if err := cluster.BuildStatic(ctx, containerdModule, filepath.Join(dir, name), from); err != nil {
				return err
			}
		}
		return nil
	})
	return Runtime(dir), err
}

// CDI reports whether containers get devices by CDI.
func (r Runtime) CDI() bool { return r != Debian }

// program is the path of one of its programs, for the node to look up if it is Debian's.
func (r Runtime) program(name string) string { return filepath.Join(string(r), name) }

// env are the variables of containerd, which looks for its shim on the PATH first.
func (r Runtime) env() []string {
	if r == Debian {
		return nil
	}
	return []string{"PATH=" + string(r) + string(filepath.ListSeparator) + os.Getenv("PATH")}
}
