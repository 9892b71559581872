// Up shows real inferences on real nodes: it starts a cluster of three on this
// computer, creates four Jobs that name no accelerator, and shows where each
// ran and what throughput it had.
//
// It keeps the cluster up until Ctrl-C; with CLUSTER_EXIT=1 it ends by itself,
// and fails if what it showed is not what it claims.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"heteroaccel.io/e2e/cluster"
	"heteroaccel.io/e2e/edge"
	"heteroaccel.io/e2e/narrate"
	"heteroaccel.io/e2e/nodes"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	err := run(ctx, os.Getenv("CLUSTER_EXIT") != "")
	switch {
	case err == nil:
	case ctx.Err() != nil && !errors.Is(err, nodes.ErrLeft):
		fmt.Println("\nstopped; nothing is left running")
	default:
		fmt.Fprintln(os.Stderr, "the cluster failed:", err)
		os.Exit(1)
	}
}

// run is the program; everything it started has ended when it returns.
func run(ctx context.Context, exit bool) (err error) {
	fmt.Println("Three nodes with a kubelet and containerd each: G with a GPU, F with an FPGA, N with")
	fmt.Println("an NPU. The accelerators are files only, so inferences run on this computer's")
	fmt.Println("processors; everything else is real.")
	fmt.Println()
	began := time.Now()
	e, err := edge.Start(ctx, edge.Config{Out: os.Stdout})
	if err != nil {
		return err
	}
	defer func() {
		if exit || ctx.Err() == nil {
			fmt.Println("\nstopping the cluster")
		}
		err = errors.Join(err, e.Stop())
	}()
	fmt.Printf("up after %s\n", time.Since(began).Round(100*time.Millisecond))
	root, err := cluster.Root()
	if err != nil {
		return err
	}
	s := show{e, narrate.Narrator{Cluster: e.Cluster, Examples: filepath.Join(root, "deploy", "examples")}}
	if err := s.fourJobs(ctx); err != nil {
		return err
	}
	if exit {
		return nil
	}
	if err := s.goOn(ctx); err != nil {
		return err
	}
	<-ctx.Done()
	return context.Cause(ctx)
}
