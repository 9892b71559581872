package edge

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"

	"golang.org/x/sync/errgroup"

	"heteroaccel.io/e2e/cluster"
	"heteroaccel.io/e2e/machine"
	"heteroaccel.io/e2e/nodes"
)

// Config says what to start.
type Config struct {
	// Out is where each step is reported; nil for nowhere.
	Out io.Writer
	// Machines become the nodes; nil for the paper's G, F and N.
	Machines []*machine.Machine
	// Keep leaves the directories, with the logs, after Stop.
	Keep bool
}

// Edge is a running cluster of real nodes.
type Edge struct {
	*cluster.Cluster
	// Nodes are by name.
	Nodes map[string]*nodes.Node

	site *nodes.Site
	out  io.Writer
	root string
}

// Start brings everything up. When it fails, or ctx ends, nothing is left.
func Start(ctx context.Context, cfg Config) (_ *Edge, err error) {
	if err := nodes.Check(); err != nil {
		return nil, err
	}
	if cfg.Out == nil {
		cfg.Out = io.Discard
	}
	if cfg.Machines == nil {
		cfg.Machines = machine.Paper()
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
	if err := cluster.BuildPrograms(ctx, programs, cluster.ProgramOptions{Out: cfg.Out, Static: true}, "e2e/nodes/nodeinit", "e2e/nodes/janitor", "exporter", "extender", "webhook"); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, e.Stop())
		}
	}()
	if e.site, err = nodes.Open(ctx, nodes.Config{Out: cfg.Out, Binaries: binaries, Programs: programs}); err != nil {
		return nil, err
	}
	if e.Cluster, err = cluster.Start(ctx, cluster.Config{Binaries: binaries, Out: cfg.Out, At: e.site.Place(), Keep: cfg.Keep}); err != nil {
		return nil, err
	}
	if err := errors.Join(e.site.Sweep(e.Dir()), e.site.StartProxy(e.Cluster)); err != nil {
		return nil, err
	}
	group, gctx := errgroup.WithContext(ctx)
	started := make([]*nodes.Node, len(cfg.Machines))
	for i, m := range cfg.Machines {
		group.Go(func() (err error) {
			started[i], err = e.site.Start(gctx, e.Cluster, m)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	for i, m := range cfg.Machines {
		e.Nodes[m.Name] = started[i]
	}
	return e, nil
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
