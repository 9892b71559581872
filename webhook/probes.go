package main

import (
	"errors"
	"fmt"
	"net/http"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/rs/zerolog"

	"heteroaccel.io/pkg/serve"
)

// gate is what /readyz asks; what it asks changes as the program starts up.
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

// gauge is what /readyz says, for Prometheus: nobody else can tell that no
// replica decides, which is when annotated pods are refused.
func (g *gate) gauge() prometheus.Collector {
	return prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "heteroaccel_webhook_ready",
		Help: "Whether this replica decides: 1 yes, 0 no. Of all replicas one does.",
	}, func() float64 {
		if g.check() != nil {
			return 0
		}
		return 1
	})
}

// statusRoutes are the pages of the plain HTTP address.
func statusRoutes(registry *prometheus.Registry, ready func() error, log zerolog.Logger) http.Handler {
	r := serve.Router(log)
	r.Get("/", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		fmt.Fprint(w, "heteroaccel webhook\n\n"+
			"  /metrics   what was decided, and how fast, for Prometheus\n"+
			"  /healthz   whether this process is alive\n"+
			"  /readyz    whether this replica decides, and if not why\n\n"+
			"What was decided for which pod: see the extender.\n")
	})
	r.Get("/healthz", serve.Probe(func() error { return nil }))
	r.Get("/readyz", serve.Probe(ready))
	r.Method(http.MethodGet, "/metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{}))
	return r
}
