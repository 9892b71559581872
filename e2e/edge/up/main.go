// Up shows real inferences on real nodes: it starts a cluster of three on this
// computer, creates four Jobs that name no accelerator, and shows where each
// ran and what throughput it had. Then a client asks the connector for an
// inference and sends a picture to the address that it gets.
//
// With BINDING=late the exporters are the devices' DRA driver, pods are bound late, and
// one that waits is shown to get what frees.
//
// It keeps the cluster up until Ctrl-C; with CLUSTER_EXIT=1 it ends by itself,
// and fails if what it showed is not what it claims.
package main

import (
	"context"
	"errors"
	"os"

	"heteroaccel.io/e2e/edge"
	"heteroaccel.io/e2e/narrate"
	"heteroaccel.io/e2e/nodes"
)

func main() {
	narrate.Main(narrate.Demo{
		Name: "cluster",
		About: "Three nodes with a kubelet and containerd each: G with a GPU, F with an FPGA, N with\n" +
			"an NPU. The accelerators are files only, so inferences run on this computer's\n" +
			"processors; everything else is real.",
		Exit:  "CLUSTER_EXIT",
		Start: start,
		Left:  nodes.ErrLeft,
	})
}

func start(ctx context.Context) (narrate.Stage, error) {
	late, err := narrate.LateBinding()
	if err != nil {
		return nil, err
	}
	e, err := edge.Start(ctx, edge.Config{Out: os.Stdout, Late: late})
	if err != nil {
		return nil, err
	}
	n, err := narrate.New(e.Cluster.Cluster)
	if err != nil {
		return nil, errors.Join(err, e.Stop())
	}
	return show{e, n, late}, nil
}
