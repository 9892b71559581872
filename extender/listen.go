package main

import (
	"context"
	"crypto/tls"
	"fmt"
	"net/http"

	"github.com/rs/zerolog"
	"golang.org/x/sync/errgroup"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"heteroaccel.io/extender/access"
	"heteroaccel.io/extender/server"
	"heteroaccel.io/extender/ui"
	"heteroaccel.io/pkg/certificate"
	"heteroaccel.io/pkg/serve"
)

// listen serves the verbs and the pages in group, each to whom it is for. If it
// fails nothing listens.
func (f *flags) listen(ctx context.Context, group *errgroup.Group, handlers *server.Server, config *rest.Config, log zerolog.Logger) error {
	// Each listener has a configuration of its own: net/http changes it.
	serving := func() *tls.Config { return nil }
	if f.tlsCert != "" {
		source, err := certificate.FromFiles(f.tlsCert, f.tlsKey)
		if err != nil {
			return err
		}
		serving = func() *tls.Config { return certificate.ServerConfig(source) }
		group.Go(func() error { return certificate.Renew(ctx, source) })
	}
	verbs, verbsServing := handlers.Verbs, serving()
	if f.clientCA != "" {
		clients, err := certificate.ClientsOf(f.clientCA, f.clientNames, "kube-scheduler", log)
		if err != nil {
			return err
		}
		verbs, verbsServing = clients.Require(verbs), clients.Ask(verbsServing)
		group.Go(func() error { return clients.Run(ctx) })
	}
	pages, pagesServing := access.Local(handlers.Pages), (*tls.Config)(nil)
	if !access.Loopback(f.pagesBindAddress) {
		// A client, and so a rate limit, of its own: whoever asks for pages must not
		// hold up the feeds.
		client, err := kubernetes.NewForConfig(config)
		if err != nil {
			return fmt.Errorf("make a client: %w", err)
		}
		pages, pagesServing = access.New(client, log).Require(handlers.Pages), serving()
	}
	pages = withUI(pages, handlers.UI)
	group.Go(func() error { return serve.Run(ctx, f.bindAddress, verbs, verbsServing, log) })
	group.Go(func() error { return serve.Run(ctx, f.pagesBindAddress, pages, pagesServing, log) })
	return nil
}

// withUI serves the live page beside the pages. It is for everybody: what it shows it has
// from the pages, with the token of whoever looks at it.
func withUI(pages, page http.Handler) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/", pages)
	mux.Handle(ui.Path, page)
	mux.Handle(ui.Path+"/", page)
	return mux
}
