package edge

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"heteroaccel.io/e2e/cluster"
	"heteroaccel.io/e2e/image"
	"heteroaccel.io/e2e/machine"
	"heteroaccel.io/e2e/nodes"
)

// Config says what to start.
type Config struct {
	// Out is where each step is reported; nil for nowhere.
	Out io.Writer
}

// Edge is a running installation.
type Edge struct {
	*cluster.Cluster
	// Nodes are by name: g, f and n.
	Nodes map[string]*nodes.Node
	// Extender, of whose Services it is that of the pages, Prometheus and Connector
	// are the URLs of these Services, by address.
	Extender, Prometheus, Connector string

	// verbs is where the scheduler asks the extender, and token is Onlooker's.
	verbs, token string

	site *nodes.Site
	out  io.Writer
	root string
	http *http.Client
}

// Machines are the nodes: the paper's, but with the NPU of a Core Ultra, which
// today's device plugin serves, where the paper had a stick.
func Machines() []*machine.Machine {
	n := machine.N()
	n.CPU, n.MHz, n.Devices = "Intel(R) Core(TM) Ultra 7 258V", 2200, []machine.Device{machine.NPU(0, 1)}
	return []*machine.Machine{machine.G(), machine.F(), n}
}

// Start brings everything up. When it fails, or ctx ends, nothing is left.
func Start(ctx context.Context, cfg Config) (_ *Edge, err error) {
	if err := nodes.Check(); err != nil {
		return nil, err
	}
	if cfg.Out == nil {
		cfg.Out = io.Discard
	}
	e := &Edge{Nodes: map[string]*nodes.Node{}, out: cfg.Out}
	if e.root, err = cluster.Root(); err != nil {
		return nil, err
	}
	binaries, err := cluster.Build(ctx, cluster.BuildOptions{Out: cfg.Out, Nodes: true})
	if err != nil {
		return nil, err
	}
	programs := filepath.Join(e.root, "bin", "nodes")
	err = cluster.BuildPrograms(ctx, programs, cluster.ProgramOptions{Out: cfg.Out, Static: true},
		"connector", "exporter", "extender", "webhook", "e2e/nodes/nodeinit", "e2e/nodes/janitor")
	if err != nil {
		return nil, err
	}
	images, err := image.Build(ctx, image.Options{Programs: programs, Out: cfg.Out})
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			if ctx.Err() == nil {
				e.explain()
			}
			err = errors.Join(err, e.Stop())
		}
	}()
	site := nodes.Config{Out: cfg.Out, Binaries: binaries, Programs: programs, Pause: images[image.Pause].Name()}
	if e.site, err = nodes.Open(ctx, site); err != nil {
		return nil, err
	}
	if e.Cluster, err = cluster.Start(ctx, cluster.Config{Binaries: binaries, Out: cfg.Out, At: e.site.Place()}); err != nil {
		return nil, err
	}
	if err := errors.Join(e.site.Sweep(e.Dir()), e.site.StartProxy(e.Cluster)); err != nil {
		return nil, err
	}
	if err := e.startNodes(ctx, images); err != nil {
		return nil, err
	}
	if err := e.install(ctx); err != nil {
		return nil, err
	}
	e.sayf("HeteroAccel is ready")
	return e, nil
}

// startNodes starts the nodes at once, and gives each its images.
func (e *Edge) startNodes(ctx context.Context, images map[image.ID]image.Image) error {
	machines := Machines()
	started := make([]*nodes.Node, len(machines))
	group, gctx := errgroup.WithContext(ctx)
	for i, m := range machines {
		group.Go(func() (err error) {
			started[i], err = e.site.Start(gctx, e.Cluster, m)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	begin := time.Now()
	group, gctx = errgroup.WithContext(ctx)
	for i, m := range machines {
		e.Nodes[m.Name] = started[i]
		group.Go(func() error {
			for _, image := range images {
				if err := started[i].Import(gctx, image.Path); err != nil {
					return err
				}
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	e.sayf("%-24s on every node in %.1f s", fmt.Sprintf("images (%d)", len(images)), time.Since(begin).Seconds())
	return nil
}

// explain prints what may tell why the installation did not come up.
func (e *Edge) explain() {
	if e.Cluster == nil || e.Client() == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	for _, args := range []string{
		"get nodes,pods -A -o wide", "get events -A --sort-by=.lastTimestamp", "get inferenceprofiles",
		"-n heteroaccel-system logs --tail=20 deployment/" + extender, "-n heteroaccel-system logs --tail=20 deployment/heteroaccel-webhook",
		"-n heteroaccel-system logs --tail=20 deployment/" + connector, "-n " + sessions + " get leases -o wide",
		"-n heteroaccel-exporter logs --tail=20 daemonset/heteroaccel-exporter", "-n heteroaccel-system logs --tail=20 deployment/" + prometheus,
	} {
		said, _ := e.Kubectl(ctx, strings.Fields(args)...) // it repeats its errors in what it said
		e.sayf("$ kubectl %s\n%s", args, said)
	}
}

// Stop ends and takes away everything.
func (e *Edge) Stop() error {
	if e.Cluster != nil {
		e.Cluster.Stop()
	}
	if e.site != nil {
		return e.site.Close()
	}
	return nil
}

func (e *Edge) sayf(format string, args ...any) { fmt.Fprintf(e.out, format+"\n", args...) }
