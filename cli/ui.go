package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"heteroaccel.io/cli/browse"
	"heteroaccel.io/cli/pages"
)

func uiCommand(c *cluster) *cobra.Command {
	v := &view{cluster: c}
	var port uint16
	cmd := &cobra.Command{
		Use:   "ui",
		Short: "Serve the live page to a browser of this computer",
		Long: `Ui prints the address of the live page, and serves it to browsers of this computer until
Ctrl-C: devices, queues, decisions and the last hour, as they change. When the extender
restarts, or another takes over, it goes on by itself.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := v.prepare(); err != nil {
				return err
			}
			if err := v.serve(cmd, port); err != nil {
				return failure{err}
			}
			return nil
		},
	}
	fs := cmd.Flags()
	fs.SortFlags = false
	fs.Uint16Var(&port, "port", 0, "port on the loopback address; 0 for any that is free")
	v.addWhere(fs)
	return cmd
}

// serve serves the pages until the command's context ends.
func (v *view) serve(cmd *cobra.Command, port uint16) error {
	ctx := cmd.Context()
	proxy := browse.New(ctx, func(ctx context.Context) (*pages.Client, error) {
		found, err := v.find(ctx)
		if err != nil {
			return nil, err
		}
		client, err := found.Client(ctx, 0)
		if err != nil {
			return nil, v.explain(ctx, err)
		}
		return client, nil
	})
	if err := proxy.Reach(); err != nil {
		return err
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", fmt.Sprintf("127.0.0.1:%d", port))
	if err != nil {
		return fmt.Errorf("serve the live page: %w; choose another --port", err)
	}
	server := &http.Server{Handler: proxy, ReadHeaderTimeout: 10 * time.Second}
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(listener) }()
	if _, err := fmt.Fprintf(cmd.OutOrStdout(), "The live page: http://%s/ui/ (Ctrl-C ends)\n", listener.Addr()); err != nil {
		_ = server.Close()
		return err
	}
	select {
	case <-ctx.Done():
		err = errors.Join(server.Close(), <-ended)
	case err = <-ended:
	}
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}

// prepare checks the flags that say where the pages are, and completes them.
func (v *view) prepare() error {
	if err := withHTTPS(v.where.URL, v.where.CA); err != nil {
		return err
	}
	config, err := v.cluster.rest()
	if err != nil && !strings.HasPrefix(v.where.URL, "http://") {
		return err
	}
	v.where.REST = config // nil where nobody is asked but the URL
	v.where.Namespace = v.cluster.system
	return nil
}
