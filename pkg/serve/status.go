package serve

import (
	"fmt"
	"net/http"

	"github.com/go-chi/chi/v5"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/rs/zerolog"
)

// StatusPages are a program's /metrics, and /healthz and /readyz, by the address
// that each is served on, which may be the same one. ready says what is missing.
func StatusPages(program, metrics, health string, registry *prometheus.Registry, ready func() error, log zerolog.Logger) map[string]http.Handler {
	pages := map[string]*chi.Mux{}
	for _, address := range []string{metrics, health} {
		pages[address] = Router(log)
	}
	pages[metrics].Method(http.MethodGet, "/metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{}))
	pages[health].Get("/healthz", Probe(func() error { return nil }))
	pages[health].Get("/readyz", Probe(ready))
	handlers := map[string]http.Handler{}
	for address, mux := range pages {
		mux.Get("/", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/plain; charset=utf-8")
			fmt.Fprintf(w, "heteroaccel %s\n\n", program)
			if address == metrics {
				fmt.Fprint(w, "  /metrics   for Prometheus\n")
			}
			if address == health {
				fmt.Fprint(w, "  /healthz   whether this process is alive\n  /readyz    whether it is ready, and if not why\n")
			}
		})
		handlers[address] = mux
	}
	return handlers
}
