package cluster

import (
	"context"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/mod/module"
	"golang.org/x/sync/errgroup"
)

// batch are programs that one go command builds: what they share is compiled once, and
// one is linked while others are still compiled.
type batch struct {
	module, ldflags string
	programs        []program
}

// batches are in the reverse order of the list's. So kwok comes before Kubernetes, which
// takes longer to download: meanwhile kwok is compiled.
func batches(list []program) []batch {
	var all []batch
	for _, p := range list {
		at := slices.IndexFunc(all, func(b batch) bool { return b.module == p.module && b.ldflags == p.ldflags })
		if at < 0 {
			at = len(all)
			all = append(all, batch{module: p.module, ldflags: p.ldflags})
		}
		all[at].programs = append(all[at].programs, p)
	}
	slices.Reverse(all)
	return all
}

// compile builds programs into dir. The modules of all are downloaded at once, and each
// batch is compiled as soon as its own are there.
func compile(ctx context.Context, root, dir string, todo []program, report *Progress) error {
	all := batches(todo)
	group, ctx := errgroup.WithContext(ctx)
	var current atomic.Int32 // the one that is reported
	fetched := make([]chan int, len(all))
	for i, b := range all {
		fetched[i] = make(chan int, 1)
		group.Go(func() error {
			packages, err := b.fetch(ctx, root, func(module string) {
				if int(current.Load()) == i {
					report.Set("fetching " + module)
				}
			})
			if err == nil {
				fetched[i] <- packages
			}
			return err
		})
	}
	group.Go(func() error {
		for i, b := range all {
			begin := time.Now()
			current.Store(int32(i))
			stop := report.Show("fetching modules of " + names(b.programs))
			var err error
			select {
			case packages := <-fetched[i]:
				err = b.build(ctx, root, dir, packages, report)
			case <-ctx.Done():
				err = context.Cause(ctx)
			}
			stop()
			if err != nil {
				return err
			}
			report.Line(fmt.Sprintf("[%d/%d] %s: %s", i+1, len(all), names(b.programs), time.Since(begin).Round(time.Second)))
		}
		return nil
	})
	return group.Wait()
}

func names(list []program) string {
	var all []string
	for _, p := range list {
		all = append(all, p.name)
	}
	return strings.Join(all, ", ")
}

func (b batch) packages() []string {
	var list []string
	for _, p := range b.programs {
		list = append(list, p.pkg)
	}
	return list
}

func (b batch) toolchain(root string) toolchain {
	return toolchain{dir: filepath.Join(root, "e2e", b.module), env: []string{"CGO_ENABLED=0", "GOWORK=off"}}
}

// fetch downloads the modules of a batch, tells each, and returns how many packages there
// are to compile.
func (b batch) fetch(ctx context.Context, root string, tell func(module string)) (packages int, err error) {
	tc := b.toolchain(root)
	tc.line = func(line string) {
		if module, ok := strings.CutPrefix(line, "go: downloading "); ok {
			tell(module)
		}
	}
	deps, err := tc.output(ctx, append([]string{"list", "-deps", "-f", "{{.ImportPath}}"}, b.packages()...)...)
	if err != nil {
		return 0, fmt.Errorf("prepare %s: %w", names(b.programs), err)
	}
	for pkg := range strings.FieldsSeq(deps) {
		if pkg != "unsafe" { // there is nothing of it
			packages++
		}
	}
	return packages, nil
}

// build compiles a batch into dir under a temporary name and renames its programs.
func (b batch) build(ctx context.Context, root, dir string, packages int, report *Progress) error {
	done, tc := 0, b.toolchain(root)
	show := func() {
		if done < packages {
			report.Set(fmt.Sprintf("%d of %d packages of %s", done, packages, names(b.programs)))
		} else {
			report.Set("linking " + names(b.programs))
		}
	}
	tc.line = func(line string) {
		if strings.HasPrefix(line, "go: ") || strings.HasPrefix(line, "#") || strings.ContainsAny(line, " \t") {
			return
		}
		done++
		show()
	}
	show()
	temporary, err := os.MkdirTemp(dir, halfBuilt)
	if err != nil {
		return fmt.Errorf("build %s: %w", names(b.programs), err)
	}
	defer os.RemoveAll(temporary)
	args := append([]string{"build", "-v", "-trimpath", "-gcflags", lean, "-ldflags", b.ldflags, "-o", temporary}, b.packages()...)
	if _, err := tc.output(ctx, args...); err != nil {
		return fmt.Errorf("build %s: %w", names(b.programs), err)
	}
	for _, p := range b.programs {
		if err := os.Rename(filepath.Join(temporary, executable(p.pkg)), filepath.Join(dir, p.name)); err != nil {
			return fmt.Errorf("build %s: %w", p.name, err)
		}
	}
	return nil
}

// lean has the compiler not write what a debugger would read: the linker, told by -w,
// would leave it out again. The programs are the same, so their key has nothing of it.
const lean = "all=-dwarf=false"

// executable is what go build calls the program of a package: the last element of its
// import path but a major version.
func executable(pkg string) string {
	prefix, _, ok := module.SplitPathVersion(pkg)
	if !ok {
		prefix = pkg
	}
	return path.Base(prefix)
}
