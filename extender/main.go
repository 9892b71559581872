// Extender is an HTTP extender of the stock kube-scheduler. It filters and scores
// nodes by their usable accelerators, and explains every placement on pages for
// people.
package main

import (
	"context"
	"errors"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"
	"github.com/spf13/pflag"

	"heteroaccel.io/pkg/kube"
	"heteroaccel.io/pkg/monitor"
	"heteroaccel.io/pkg/program"
)

// flags are the command line; main alone reads it.
type flags struct {
	bindAddress     string
	kube            kube.Flags
	telemetry       monitor.Flags
	unmanaged       bool
	tlsCert, tlsKey string
	namespace       string
}

func (f *flags) add(fs *pflag.FlagSet) {
	fs.StringVar(&f.bindAddress, "bind-address", ":8888", "address to serve everything on: HTTPS with --tls-cert-file, else HTTP")
	fs.StringVar(&f.tlsCert, "tls-cert-file", "", "certificate file, reloaded when it changes")
	fs.StringVar(&f.tlsKey, "tls-private-key-file", "", "private key file of --tls-cert-file")
	f.telemetry.Add(fs)
	fs.BoolVar(&f.unmanaged, "unmanaged-pods", true, "also keep pods that HeteroAccel did not admit, such as those pinned to an accelerator by hand, off devices that are unhealthy or used outside Kubernetes; false leaves those pods alone")
	fs.StringVar(&f.namespace, "namespace", program.EnvOr("POD_NAMESPACE", "heteroaccel-system"), "namespace of the webhook, whose key verifies which pods are ours")
	f.kube.Add(fs)
}

func (f *flags) check() error {
	if (f.tlsCert == "") != (f.tlsKey == "") {
		return errors.New("--tls-cert-file and --tls-private-key-file go together: give both, or neither for HTTP")
	}
	return errors.Join(f.telemetry.Check(), f.kube.Check())
}

func main() {
	var f flags
	program.Main(program.Program{
		Name:  "extender",
		About: "extender tells the stock kube-scheduler which nodes have a usable accelerator, and explains every placement.",
		Flags: f.add, Check: f.check,
		Run: func(ctx context.Context, log zerolog.Logger) error {
			return run(ctx, f, prometheus.NewRegistry(), log)
		},
	})
}
