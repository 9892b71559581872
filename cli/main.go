// Heteroaccel is the command line program: it checks an installation, and says what
// kube-scheduler needs. Installed as kubectl-heteroaccel it is a plugin of kubectl.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"heteroaccel.io/pkg/program"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	err := command().ExecuteContext(ctx)
	switch {
	case errors.Is(err, errWrong): // the report says what
		os.Exit(program.ExitFailed)
	case err != nil:
		fmt.Fprintf(os.Stderr, "heteroaccel: %v\n", err)
		os.Exit(program.ExitUsage)
	}
}
