// Prepare compiles the stock control plane that the demo and the tests run on,
// once for each version, and shows how far it is.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"heteroaccel.io/e2e/cluster"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if _, err := cluster.Build(ctx, cluster.BuildOptions{Out: os.Stdout}); err != nil {
		fmt.Fprintln(os.Stderr, "the control plane could not be built:", err)
		os.Exit(1)
	}
}
