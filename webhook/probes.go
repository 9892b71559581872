package main

import (
	"errors"
	"fmt"
	"net/http"
	"sync/atomic"

	"github.com/go-chi/chi/v5"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/rs/zerolog"

	"heteroaccel.io/pkg/serve"
)

// gate is the check of /readyz; it changes as the program starts up.
type gate struct {
	current atomic.Pointer[func() error]
}

func (g *gate) set(check func() error) { g.current.Store(&check) }

func (g *gate) check() error {
	if check := g.current.Load(); check != nil {
		return (*check)()
	}
	return errors.New("starting")
}

// gauge is the result of /readyz, for Prometheus: an alert on it is the only way to
// notice that no replica decides, and so annotated pods are refused.
func (g *gate) gauge() prometheus.Collector {
	return prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "heteroaccel_webhook_ready",
		Help: "Whether this replica is ready and decides: 1 for one of the replicas, 0 for the others.",
	}, func() float64 {
		if g.check() != nil {
			return 0
		}
		return 1
	})
}

// statusPages are the pages of the plain HTTP addresses.
func statusPages(f flags, registry *prometheus.Registry, ready func() error, log zerolog.Logger) map[string]http.Handler {
	pages := map[string]*chi.Mux{}
	for _, address := range []string{f.metricsBindAddress, f.healthBindAddress} {
		pages[address] = serve.Router(log)
	}
	pages[f.metricsBindAddress].Method(http.MethodGet, "/metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{}))
	health := pages[f.healthBindAddress]
	health.Get("/healthz", serve.Probe(func() error { return nil }))
	health.Get("/readyz", serve.Probe(ready))
	handlers := map[string]http.Handler{}
	for address, mux := range pages {
		mux.Get("/", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/plain; charset=utf-8")
			fmt.Fprint(w, "heteroaccel webhook\n\n")
			if address == f.metricsBindAddress {
				fmt.Fprint(w, "  /metrics   decisions and their duration, for Prometheus\n")
			}
			if address == f.healthBindAddress {
				fmt.Fprint(w, "  /healthz   whether this process is alive\n"+
					"  /readyz    whether this replica decides, and if not, why\n")
			}
			fmt.Fprint(w, "\nFor the decision on each pod, see the extender.\n")
		})
		handlers[address] = mux
	}
	return handlers
}
