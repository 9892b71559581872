// Localcluster is what the cluster of docker-compose.yaml has beside stock programs and
// HeteroAccel: its certificates, its simulated machines, and health checks for images
// without a shell.
//
// Empty volumes enter, and certificates leave; a kubeconfig enters, and Nodes, the
// machines' sysfs and procfs, and the PodResources sockets of their kubelets leave. It
// is no part of HeteroAccel, and not for a cluster that anybody relies on.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"heteroaccel.io/pkg/program"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	root := &cobra.Command{
		Use: "localcluster", Short: "What the cluster of docker-compose.yaml needs beside stock programs",
		SilenceErrors: true, SilenceUsage: true, Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			return errors.New("say what to do: pki, nodes or healthcheck, see --help")
		},
	}
	root.AddCommand(pkiCommand(), nodesCommand(), healthcheckCommand())
	if err := root.ExecuteContext(ctx); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(program.ExitFailed)
	}
}
