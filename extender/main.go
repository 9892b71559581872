// Extender is the HTTP extender of the stock kube-scheduler: it knows which
// nodes have a usable accelerator and which of them is best, and explains
// every placement to people with curl.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/spf13/pflag"

	"heteroaccel.io/pkg/monitor"
	"heteroaccel.io/pkg/serve"
)

// flags are the command line; main alone reads it.
type flags struct {
	listen          string
	kubeconfig      string
	samples         monitor.Flags
	unmanaged       bool
	tlsCert, tlsKey string
	namespace       string
	log             serve.LogFlags
}

func parse(args []string) (flags, error) {
	var f flags
	fs := pflag.NewFlagSet("extender", pflag.ContinueOnError)
	fs.SortFlags = false
	fs.StringVar(&f.listen, "listen", ":8888", "address of everything; HTTPS with --tls-cert, else HTTP")
	fs.StringVar(&f.kubeconfig, "kubeconfig", "", "kubeconfig file; default: the pod's service account")
	f.samples.Add(fs)
	fs.BoolVar(&f.unmanaged, "unmanaged-pods", true, "also keep pods that HeteroAccel did not admit, such as those pinned to an accelerator by hand, off devices that are unhealthy or used from outside Kubernetes; false leaves those pods alone")
	fs.StringVar(&f.tlsCert, "tls-cert", "", "certificate file, read again when it changes")
	fs.StringVar(&f.tlsKey, "tls-key", "", "private key file of --tls-cert")
	fs.StringVar(&f.namespace, "namespace", envOr("POD_NAMESPACE", "heteroaccel-system"), "namespace of the webhook, whose key verifies which pods are ours")
	f.log.Add(fs)
	if err := fs.Parse(args); err != nil {
		return f, err
	}
	switch {
	case fs.NArg() > 0:
		return f, fmt.Errorf("unknown argument %q: everything is set by flags, see --help", fs.Arg(0))
	case (f.tlsCert == "") != (f.tlsKey == ""):
		return f, errors.New("--tls-cert and --tls-key go together: give both, or neither for HTTP")
	}
	return f, errors.Join(f.samples.Check(), f.log.Check())
}

func main() {
	f, err := parse(os.Args[1:])
	if errors.Is(err, pflag.ErrHelp) {
		return
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "extender:", err)
		os.Exit(2)
	}
	log := f.log.Logger(os.Stderr, "extender")
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, f, prometheus.NewRegistry(), log); err != nil {
		log.Error().Err(err).Msg("ended")
		os.Exit(1)
	}
}

func envOr(name, otherwise string) string {
	if v := os.Getenv(name); v != "" {
		return v
	}
	return otherwise
}
