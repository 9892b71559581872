package main

import (
	"fmt"
	"net/http"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/rs/zerolog"

	"heteroaccel.io/pkg/serve"
)

// routes are the exporter's pages: an index, the metrics, and health.
func routes(name string, log zerolog.Logger, node ...prometheus.Collector) http.Handler {
	registry := prometheus.NewRegistry()
	registry.MustRegister(node...)
	registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	r := serve.Router(log)
	r.Get("/", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		fmt.Fprintf(w, "heteroaccel exporter of node %s\n\n"+
			"  /metrics   the node's accelerators, for Prometheus\n"+
			"  /healthz   whether this process is alive\n"+
			"  /readyz    the same: the metrics report a kubelet that does not answer\n", name)
	})
	r.Method(http.MethodGet, "/metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{}))
	alive := serve.Probe(func() error { return nil })
	r.Get("/healthz", alive)
	// Ready without a kubelet: that it is missing must reach Prometheus.
	r.Get("/readyz", alive)
	return r
}
