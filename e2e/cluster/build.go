package cluster

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Binaries are the paths of the programs a cluster is made of.
type Binaries struct {
	Etcd, APIServer, ControllerManager, Scheduler, Kubectl, Kwok string
	// Kubelet and KubeProxy are there only where BuildOptions asked for them.
	Kubelet, KubeProxy string
}

// BuildOptions say how Build reports, and what it need not compile.
type BuildOptions struct {
	// Out is where progress goes; nil for nowhere. On a terminal one line is
	// rewritten, elsewhere a line is added every 15 seconds.
	Out io.Writer
	// Nodes adds the programs of real nodes.
	Nodes bool
	// Installed has programs of the control plane that are on this computer used, in
	// the directory of Assets or in PATH, in place of compiling them, if they are of
	// the same minor version. Tests do without: what they hold, they hold for the
	// versions that they name.
	Installed bool
}

// Build compiles what is missing of the control plane into the user's cache
// directory, under a name that changes with every version involved, and
// returns where it is. The environment chooses the minor: see Kubernetes. With
// nothing missing it takes a fraction of a second; from nothing, minutes. Of two
// at once the second waits for the first. A build that is killed leaves whole
// programs, and no other; what it compiled stays in Go's own cache.
func Build(ctx context.Context, opts BuildOptions) (Binaries, error) {
	root, err := Root()
	if err != nil {
		return Binaries{}, err
	}
	src, err := readSource(root, os.Getenv(Kubernetes))
	if err != nil {
		return Binaries{}, err
	}
	tc := toolchain{dir: filepath.Join(root, "e2e", src.dir)}
	version, err := tc.output(ctx, "env", "GOVERSION")
	if err != nil {
		return Binaries{}, err
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return Binaries{}, fmt.Errorf("find the cache directory: set XDG_CACHE_HOME or HOME: %w", err)
	}
	dir := filepath.Join(cache, "heteroaccel", "bin", src.key(strings.TrimSpace(version)))
	list := src.programs()
	if opts.Nodes {
		list = append(list, src.nodePrograms()...)
	}
	todo := missing(dir, list)
	if len(todo) == 0 {
		return binaries(dir, nil), nil
	}
	report := NewProgress(opts.Out)
	defer report.Clear()
	var found map[string]string
	if opts.Installed {
		if found, err = src.installed(ctx, todo, report.Line); err != nil {
			return Binaries{}, err
		}
		list = slices.DeleteFunc(list, func(p program) bool { return found[p.name] != "" })
		if len(missing(dir, list)) > 0 {
			report.Line("docs/development.md#the-demo-without-compiling says how to download what follows instead")
		}
	}
	if err := src.fill(ctx, dir, list, report); err != nil {
		return Binaries{}, err
	}
	return binaries(dir, found), nil
}

// fill compiles what is missing of the list into dir.
func (s source) fill(ctx context.Context, dir string, list []program, report *Progress) error {
	if len(missing(dir, list)) == 0 {
		return nil
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("make the directory of the control plane's programs: %w", err)
	}
	unlock, err := LockFile(ctx, dir+".lock", func() {
		report.Line("another build of the control plane is running: waiting for it")
	})
	if err != nil {
		return err
	}
	defer unlock()
	todo := missing(dir, list)
	if len(todo) == 0 {
		return nil
	}
	if err := removeHalfBuilt(dir); err != nil {
		return err
	}
	report.Line(fmt.Sprintf("compiling for Kubernetes %s, once, which takes minutes: %s", s.version, names(todo)))
	return compile(ctx, s.root, dir, todo, report)
}

// halfBuilt starts the names of what a build in progress writes to.
const halfBuilt = ".building-"

// removeHalfBuilt removes what a killed build left. The caller has the lock.
func removeHalfBuilt(dir string) error {
	left, err := filepath.Glob(filepath.Join(dir, halfBuilt+"*"))
	if err != nil {
		return fmt.Errorf("look for the remains of a killed build: %w", err)
	}
	for _, path := range left {
		if err := os.RemoveAll(path); err != nil {
			return fmt.Errorf("remove the remains of a killed build: %w", err)
		}
	}
	return nil
}

func missing(dir string, list []program) []program {
	var todo []program
	for _, p := range list {
		if _, err := os.Stat(filepath.Join(dir, p.name)); err != nil {
			todo = append(todo, p)
		}
	}
	return todo
}

// binaries are those found, by name, and the others of dir.
func binaries(dir string, found map[string]string) Binaries {
	at := func(name string) string { return cmp.Or(found[name], filepath.Join(dir, name)) }
	return Binaries{
		Etcd: at("etcd"), APIServer: at("kube-apiserver"), ControllerManager: at("kube-controller-manager"),
		Scheduler: at("kube-scheduler"), Kubectl: at("kubectl"), Kwok: at("kwok"),
		Kubelet: at("kubelet"), KubeProxy: at("kube-proxy"),
	}
}

// ProgramOptions say how BuildPrograms compiles.
type ProgramOptions struct {
	// Root is the tree that they are compiled from; "" for this one.
	Root string
	// Race adds the race detector; it needs a C compiler.
	Race bool
	// Static links no library of this computer's, for a container with none.
	Static bool
	// Out is where progress goes; nil for nowhere.
	Out io.Writer
}

// BuildPrograms compiles programs of this project, named by their folder at
// the root of the tree ("webhook"), to dir/NAME.
func BuildPrograms(ctx context.Context, dir string, opts ProgramOptions, names ...string) error {
	root := opts.Root
	var err error
	if root == "" {
		if root, err = Root(); err != nil {
			return err
		}
	}
	if dir, err = filepath.Abs(dir); err != nil {
		return fmt.Errorf("build %s: %w", strings.Join(names, ", "), err)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("build %s: %w", strings.Join(names, ", "), err)
	}
	report := NewProgress(opts.Out)
	defer report.Clear()
	defer report.Show("compiling " + strings.Join(names, ", "))()
	// The tag as in the Makefile. Debuggers' tables would be a seventh of what linking
	// costs, in every test and demo.
	args := []string{"build", "-tags=grpcnotrace", "-ldflags=-s -w", "-o", dir + string(filepath.Separator)}
	tc := toolchain{dir: root, env: []string{"GOWORK=off"}}
	if opts.Static {
		args = append(args, "-trimpath")
		tc.env = append(tc.env, "CGO_ENABLED=0")
	}
	if opts.Race {
		args = append(args, "-race")
		tc.env = append(tc.env, "CGO_ENABLED=1")
	}
	for _, name := range names {
		args = append(args, "./"+name)
	}
	if _, err := tc.output(ctx, args...); err != nil {
		return fmt.Errorf("build %s: %w", strings.Join(names, ", "), err)
	}
	return nil
}
