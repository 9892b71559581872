package main

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"heteroaccel.io/pkg/healthcheck"
)

// healthcheckCommand asks any server: the stock programs' images have nothing that could.
func healthcheckCommand() *cobra.Command {
	t := healthcheck.Target{}
	cmd := &cobra.Command{
		Use: "healthcheck", Short: "Ask a server whether it is healthy", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := t.Check(); err != nil {
				return err
			}
			sentence, err := healthcheck.Ask(cmd.Context(), t)
			if err == nil {
				fmt.Fprintln(cmd.OutOrStdout(), sentence)
			}
			return err
		},
	}
	cmd.Flags().StringVar(&t.URL, "url", "", "page that tells by its status: https://localhost:6443/readyz")
	cmd.Flags().StringVar(&t.CAFile, "ca-file", "", "certificates of the server's CA; default: those of the system")
	cmd.Flags().DurationVar(&t.Timeout, "timeout", 2*time.Second, "how long the answer may take")
	return cmd
}
