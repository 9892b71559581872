package controller

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics are those of sessions.
type metrics struct {
	created, warm, renewed, moves, failures, flushes, lost prometheus.Counter
	ended                                                  *prometheus.CounterVec
	waits                                                  prometheus.Histogram
}

func newMetrics(registry prometheus.Registerer, k *Controller) *metrics {
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Name: name, Help: help})
	}
	m := &metrics{
		created:  counter("heteroaccel_connector_sessions_created_total", "Sessions that were created."),
		warm:     counter("heteroaccel_connector_sessions_warm_total", "Sessions that a server with a free place served at once."),
		renewed:  counter("heteroaccel_connector_session_renewals_total", "Renewals of sessions."),
		moves:    counter("heteroaccel_connector_session_moves_total", "Sessions that lost their server and were queued for another."),
		failures: counter("heteroaccel_connector_server_failures_total", "Inference servers, or their Services or HTTPRoutes, that could not be created."),
		flushes:  counter("heteroaccel_connector_renewal_writes_total", "Writes of renewals to the API server."),
		lost:     counter("heteroaccel_connector_renewal_write_failures_total", "Writes of renewals to the API server that failed."),
		ended: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "heteroaccel_connector_sessions_ended_total", Help: "Sessions that ended, by reason: deleted by the client, or expired.",
		}, []string{"reason"}),
		waits: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "heteroaccel_connector_session_wait_seconds", Help: "How long sessions waited for a server.",
			Buckets: []float64{.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 300, 1800},
		}),
	}
	for _, reason := range []string{"deleted", "expired"} {
		m.ended.WithLabelValues(reason)
	}
	gauge := func(name, help string, value func() int) prometheus.Collector {
		return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, func() float64 {
			k.mu.Lock()
			defer k.mu.Unlock()
			return float64(value())
		})
	}
	registry.MustRegister(m.created, m.warm, m.renewed, m.moves, m.failures, m.flushes, m.lost, m.ended, m.waits,
		gauge("heteroaccel_connector_sessions_waiting", "Sessions that wait for a server.", func() int { waiting, _ := k.table.Count(); return waiting }),
		gauge("heteroaccel_connector_sessions_served", "Sessions that have a server.", func() int { _, served := k.table.Count(); return served }),
		gauge("heteroaccel_connector_sessions_shared", "Sessions that have their server together with others.", k.table.Shared),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "heteroaccel_connector_session_longest_wait_seconds", Help: "How long the session that has waited longest has waited, 0 when none waits."}, k.longestWait),
		gauge("heteroaccel_connector_leading", "1 if this replica creates and assigns servers, 0 if not. One of all replicas does.", func() int {
			if k.leads() {
				return 1
			}
			return 0
		}),
		gauge("heteroaccel_connector_servers", "Inference servers, ready or not.", k.table.Servers),
	)
	return m
}

// longestWait is in seconds.
func (k *Controller) longestWait() float64 {
	k.mu.Lock()
	defer k.mu.Unlock()
	if at := k.table.Oldest(); !at.IsZero() {
		return max(0, time.Since(at).Seconds())
	}
	return 0
}
