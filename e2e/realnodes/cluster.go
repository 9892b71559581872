package realnodes

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
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
	// Machines are the nodes; nil for Machines.
	Machines []*machine.Machine
	// CDI are the names of those whose container runtime gives containers devices by CDI,
	// as containerd 2 does. The others have Debian's.
	CDI []string
	// DRA leaves the devices to a DRA driver: Install installs no device plugin.
	DRA bool
	// Programs are further programs of the project to compile, by their folders, and Images
	// those that nodes are given; nil for all.
	Programs []string
	Images   []image.ID
}

// Cluster is a running cluster, without us.
type Cluster struct {
	*cluster.Cluster
	// Nodes are by name: g, f and n, unless others were asked for.
	Nodes map[string]*nodes.Node
	// Root is the repository, and Programs the directory with what was compiled.
	Root, Programs string

	site *nodes.Site
	dra  bool
	out  io.Writer
}

// Machines are the nodes: the paper's, but with the NPU of a Core Ultra, which
// today's device plugin serves, where the paper had a stick.
func Machines() []*machine.Machine {
	n := machine.N()
	n.CPU, n.MHz, n.Devices = "Intel(R) Core(TM) Ultra 7 258V", 2200, []machine.Device{machine.NPU(0, 1)}
	return []*machine.Machine{machine.G(), machine.F(), n}
}

// Start brings the nodes up, with their images. Install is what they lack still. When it
// fails, or ctx ends, nothing is left.
func Start(ctx context.Context, cfg Config) (_ *Cluster, err error) {
	if err := nodes.Check(); err != nil {
		return nil, err
	}
	if cfg.Out == nil {
		cfg.Out = io.Discard
	}
	c := &Cluster{Nodes: map[string]*nodes.Node{}, dra: cfg.DRA, out: cfg.Out}
	if c.Root, err = cluster.Root(); err != nil {
		return nil, err
	}
	binaries, err := cluster.Build(ctx, cluster.BuildOptions{Out: cfg.Out, Nodes: true})
	if err != nil {
		return nil, err
	}
	c.Programs = filepath.Join(c.Root, "bin", "nodes")
	programs := append([]string{"connector", "exporter", "extender", "webhook", "e2e/nodes/nodeinit", "e2e/nodes/janitor"}, cfg.Programs...)
	if err := cluster.BuildPrograms(ctx, c.Programs, cluster.ProgramOptions{Out: cfg.Out, Static: true}, programs...); err != nil {
		return nil, err
	}
	if err := cluster.BuildStatic(ctx, "cli", filepath.Join(c.Programs, "heteroaccel"), cluster.Static{}); err != nil {
		return nil, err
	}
	images, err := image.Build(ctx, image.Options{Programs: c.Programs, Out: cfg.Out}, cfg.Images...)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, c.Stop())
		}
	}()
	site := nodes.Config{Out: cfg.Out, Binaries: binaries, Programs: c.Programs, Pause: images[image.Pause].Name()}
	if c.site, err = nodes.Open(ctx, site); err != nil {
		return nil, err
	}
	if c.Cluster, err = cluster.Start(ctx, cluster.Config{Binaries: binaries, Out: cfg.Out, At: c.site.Place()}); err != nil {
		return nil, err
	}
	if err := errors.Join(c.site.Sweep(c.Dir()), c.site.StartProxy(c.Cluster)); err != nil {
		return nil, err
	}
	if err := c.startNodes(ctx, cfg, images); err != nil {
		return nil, err
	}
	return c, nil
}

// startNodes starts the nodes at once, and gives each its images.
func (c *Cluster) startNodes(ctx context.Context, cfg Config, images map[image.ID]image.Image) error {
	machines := cfg.Machines
	if machines == nil {
		machines = Machines()
	}
	var withCDI nodes.Runtime
	if len(cfg.CDI) > 0 {
		report := cluster.NewProgress(cfg.Out)
		defer report.Clear()
		var err error
		if withCDI, err = nodes.Containerd2(ctx, report); err != nil {
			return err
		}
	}
	started := make([]*nodes.Node, len(machines))
	group, gctx := errgroup.WithContext(ctx)
	for i, m := range machines {
		group.Go(func() (err error) {
			runtime := nodes.Debian
			if slices.Contains(cfg.CDI, m.Name) {
				runtime = withCDI
			}
			started[i], err = c.site.Start(gctx, c.Cluster, m, runtime)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	begin := time.Now()
	group, gctx = errgroup.WithContext(ctx)
	for i, m := range machines {
		c.Nodes[m.Name] = started[i]
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
	c.Sayf("%-24s on every node in %.1f s", fmt.Sprintf("images (%d)", len(images)), time.Since(begin).Seconds())
	return c.site.WaitServices(ctx)
}

// Services tells why a Service may not be reached from the control plane.
func (c *Cluster) Services(ctx context.Context) string { return c.site.Services(ctx, c.Cluster) }

// Place is where the control plane listens.
func (c *Cluster) Place() cluster.Place { return c.site.Place() }

// Stop ends and takes away everything.
func (c *Cluster) Stop() error {
	if c.Cluster != nil {
		c.Cluster.Stop()
	}
	if c.site != nil {
		return c.site.Close()
	}
	return nil
}

// Sayf reports a step.
func (c *Cluster) Sayf(format string, args ...any) { fmt.Fprintf(c.out, format+"\n", args...) }
