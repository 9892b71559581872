package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"heteroaccel.io/cli/check"
	"heteroaccel.io/cli/gather"
	"heteroaccel.io/pkg/program"
)

// errWrong is returned when something is wrong; the report has been written.
var errWrong = errors.New("something is wrong")

// again is how long to wait between two checks of --wait.
const again = 2 * time.Second

func checkCommand(c *cluster) *cobra.Command {
	var (
		output, pages, ca string
		limit             time.Duration
		canary            bool
	)
	cmd := &cobra.Command{
		Use:   "check",
		Short: "Check that HeteroAccel works, and say what fixes it where it does not",
		Long: `Check looks at each part of an installation, with your own rights, and prints a line for
each: OK, WRONG with the command that fixes it, or NOT CHECKED with the reason. It ends
with 1 if anything is wrong, and with 2 if the command line is.

It has the API server say, in dry runs, what it would make of two pods, and has
kube-scheduler place one pod, of which nothing runs, to see that the extender is asked. The
pod holds a free device for a moment, and is removed again. --namespace is where.

In a command that it prints OVERLAY is the folder that you applied, deploy/base or your own,
and DISTRIBUTION one that scheduler-config knows.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if output != "text" && output != "json" {
				return fmt.Errorf("--output %q: choose text or json", output)
			}
			if err := withHTTPS(pages, ca); err != nil {
				return err
			}
			config, err := c.rest()
			if err != nil {
				return err
			}
			namespace, _, err := c.ToRawKubeConfigLoader().Namespace()
			if err != nil {
				return fmt.Errorf("find the namespace: %w", err)
			}
			if namespace == "kube-system" || namespace == c.system || namespace == c.exporters {
				return fmt.Errorf("pods in namespace %s are never sent to the webhook: choose another with --namespace", namespace)
			}
			version := program.Version()
			g, err := gather.New(gather.Config{
				REST: config, System: c.system, Exporters: c.exporters, Namespace: namespace, Pages: pages, CA: ca, Canary: canary,
				Version: version, Release: !strings.HasPrefix(version, "development") && version != "unknown",
			})
			if err != nil {
				return err
			}
			lines, err := until(cmd.Context(), limit, func(ctx context.Context) []check.Line { return check.Run(g.Gather(ctx)) })
			if err != nil {
				return err
			}
			write := check.Text
			if output == "json" {
				write = check.JSON
			}
			if err := write(cmd.OutOrStdout(), lines); err != nil {
				return err
			}
			if check.Failed(lines) {
				return errWrong
			}
			return nil
		},
	}
	fs := cmd.Flags()
	fs.SortFlags = false
	fs.StringVarP(&output, "output", "o", "text", "form of the report: text or json")
	fs.DurationVar(&limit, "wait", 0, "how long to check again while something is wrong; default: once")
	fs.BoolVar(&canary, "canary", true, "have kube-scheduler place a pod; false for a check that creates nothing")
	fs.StringVar(&pages, "extender-url", "", "URL of the extender's pages; default: a port is forwarded to each extender")
	fs.StringVar(&ca, "extender-ca", "", "file of the CA of an --extender-url with https, which gets the token of the kubeconfig")
	return cmd
}

// until checks until nothing is wrong, or for as long as limit: the last lines count.
func until(ctx context.Context, limit time.Duration, look func(context.Context) []check.Line) ([]check.Line, error) {
	end := time.Now().Add(limit)
	for {
		lines := look(ctx)
		if err := ctx.Err(); err != nil {
			return nil, fmt.Errorf("the check was interrupted: %w", err)
		}
		if !check.Failed(lines) || time.Now().Add(again).After(end) {
			return lines, nil
		}
		select {
		case <-ctx.Done():
		case <-time.After(again):
		}
	}
}
