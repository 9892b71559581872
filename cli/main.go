// Heteroaccel is the command line program: it explains what HeteroAccel does with pods,
// nodes and devices, checks an installation, and says what kube-scheduler needs. Installed
// as kubectl-heteroaccel it is a plugin of kubectl, and as kubectl_complete-heteroaccel the
// completion of that.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
	"k8s.io/klog/v2"

	"heteroaccel.io/pkg/program"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	// Libraries log what the errors of their functions say too, into what is shown.
	klog.SetLogger(klog.Logger{}) // which writes nothing
	c := command(os.Args[0])
	c.SetArgs(arguments(os.Args))
	err := c.ExecuteContext(ctx)
	switch {
	case errors.Is(err, errWrong): // the report says what
		os.Exit(program.ExitFailed)
	case errors.As(err, new(failure)):
		fmt.Fprintf(os.Stderr, "heteroaccel: %v\n", err)
		os.Exit(program.ExitFailed)
	case err != nil:
		fmt.Fprintf(os.Stderr, "heteroaccel: %v\n", err)
		os.Exit(program.ExitUsage)
	}
}

// completer is what kubectl runs to complete our command line.
const completer = "kubectl_complete-heteroaccel"

// arguments are those of the command, by the name under which the program runs.
func arguments(argv []string) []string {
	if calledAs(argv[0]) == completer {
		return append([]string{cobra.ShellCompRequestCmd}, argv[1:]...)
	}
	return argv[1:]
}

// calledAs is the name under which the program runs.
func calledAs(path string) string { return strings.TrimSuffix(filepath.Base(path), ".exe") }
