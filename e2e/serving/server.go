package main

import (
	"encoding/json"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"heteroaccel.io/e2e/serving/load"
)

// takes is how long an inference would take on each device.
var takes = map[string]time.Duration{"GPU": 2 * time.Millisecond, "NPU": 5 * time.Millisecond}

// server answers with who it is, once an inference would be done, and reports how long each
// answer took. It is ready unless it runs on a device that is unreadyOn.
func server(who load.Answer, unreadyOn string) http.Handler {
	registry := prometheus.NewRegistry()
	took := prometheus.NewHistogram(prometheus.HistogramOpts{Name: "serving_answer_seconds", Help: "How long answers took."})
	registry.MustRegister(took)
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{}))
	mux.HandleFunc("GET /ready", func(w http.ResponseWriter, _ *http.Request) {
		if unreadyOn != "" && who.Device == unreadyOn {
			http.Error(w, "it is never ready on "+unreadyOn, http.StatusServiceUnavailable)
		}
	})
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) {
		began := time.Now()
		select {
		case <-time.After(takes[who.Device]):
		case <-r.Context().Done():
		}
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(who) // whoever asked has gone
		took.Observe(time.Since(began).Seconds())
	})
	return mux
}
