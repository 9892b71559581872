// Demo shows the main job on a local control plane that it builds and starts
// itself: four inferences that name no accelerator land on four different
// ones, and the same four pinned to the GPU by hand wait for each other.
//
// It keeps the cluster up until Ctrl-C; with DEMO_EXIT=1 it ends by itself,
// and fails if what it showed is not what it claims.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"heteroaccel.io/e2e/cluster"
	"heteroaccel.io/e2e/narrate"
	"heteroaccel.io/e2e/stack"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	err := run(ctx, os.Getenv("DEMO_EXIT") != "")
	switch {
	case err == nil:
	case ctx.Err() != nil:
		fmt.Println("\nstopped; nothing is left running")
	default:
		fmt.Fprintln(os.Stderr, "the demo failed:", err)
		os.Exit(1)
	}
}

// run is the demo; everything it started has ended when it returns.
func run(ctx context.Context, exit bool) error {
	fmt.Println("HeteroAccel demo: nodes G (GPU), F (FPGA) and N (NPU) of the paper, simulated;")
	fmt.Println("API server, scheduler, webhook, extender and exporters are the real ones.")
	fmt.Println()
	began := time.Now()
	s, err := stack.Start(ctx, stack.Config{Out: os.Stdout})
	if err != nil {
		return err
	}
	defer func() {
		if exit || ctx.Err() == nil {
			fmt.Println("\nstopping the cluster")
		}
		s.Stop()
	}()
	fmt.Printf("up after %s\n", time.Since(began).Round(100*time.Millisecond))

	root, err := cluster.Root()
	if err != nil {
		return err
	}
	d := demo{s, narrate.Narrator{Cluster: s.Cluster, Examples: filepath.Join(root, "deploy", "examples")}}
	if err := d.anyAccelerator(ctx); err != nil {
		return err
	}
	if err := d.pinned(ctx); err != nil {
		return err
	}
	if exit {
		return nil
	}
	if err := d.goOn(ctx); err != nil {
		return err
	}
	<-ctx.Done()
	return context.Cause(ctx)
}
