// Serving is the program of a server and of its client, each a pod of the tests on real
// nodes: "serving server" answers every request with who it is, and "serving load" asks
// without a pause, each time over a new connection, and shows what became of it.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/spf13/pflag"

	"heteroaccel.io/e2e/serving/load"
)

// endLimit is how long the requests that are under way may take at the end.
const endLimit = 10 * time.Second

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintf(os.Stderr, "serving: %v\n", err)
		os.Exit(1)
	}
}

// run is the program, which ends with ctx.
func run(ctx context.Context, args []string, stdout io.Writer) error {
	l := load.Load{Begun: func() { fmt.Fprintln(stdout, "the load begins") }}
	var address, device, unreadyOn string
	fs := pflag.NewFlagSet("serving", pflag.ContinueOnError)
	fs.StringVar(&address, "listen", ":8080", "where the server, or the report of the load, is")
	fs.StringVarP(&device, "device", "d", "", "device that the server runs on")
	fs.StringVar(&unreadyOn, "unready-on", os.Getenv("UNREADY_ON"), "device on which the server is never ready")
	fs.StringVar(&l.URL, "url", "", "what the load asks for")
	fs.DurationVar(&l.Every, "every", 20*time.Millisecond, "how often the load asks")
	fs.DurationVar(&l.Limit, "limit", 5*time.Second, "how long an answer may take")
	if err := fs.Parse(args); err != nil {
		return err
	}
	var handler http.Handler
	switch what := fs.Args(); {
	case len(what) == 1 && what[0] == "server":
		name, err := os.Hostname()
		if err != nil {
			return fmt.Errorf("look up the pod's name: %w", err)
		}
		handler = server(load.Answer{Pod: name, Device: device}, unreadyOn)
	case len(what) == 1 && what[0] == "load":
		handler = &l
		go l.Run(ctx)
	default:
		return errors.New(`say what it is, "server" or "load"`)
	}
	return serve(ctx, address, handler)
}

// serve serves until ctx ends, and then the requests that are under way: its pod waits
// before it is told to end, until nobody sends it more.
func serve(ctx context.Context, address string, handler http.Handler) error {
	s := &http.Server{Addr: address, Handler: handler, ReadHeaderTimeout: endLimit}
	ended := make(chan error, 1)
	go func() { ended <- s.ListenAndServe() }()
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), endLimit)
	defer cancel()
	return s.Shutdown(ctx)
}
