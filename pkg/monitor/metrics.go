package monitor

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

var (
	descRounds   = prometheus.NewDesc("heteroaccel_telemetry_reads_total", "Rounds in which the exporters were scraped, or Prometheus was queried.", nil, nil)
	descFailures = prometheus.NewDesc("heteroaccel_telemetry_read_errors_total", "Rounds with an error, even of a single exporter.", nil, nil)
	descSuccess  = prometheus.NewDesc("heteroaccel_telemetry_last_success_timestamp_seconds", "Unix time at which the last round without an error ended; 0 before the first.", nil, nil)
	descConflict = prometheus.NewDesc("heteroaccel_telemetry_conflicting_nodes", "Nodes whose telemetry was ignored in the last round, because it is not certain who speaks for them.", nil, nil)
	descAge      = prometheus.NewDesc("heteroaccel_telemetry_age_seconds", "Age of the newest telemetry of a node.", []string{"node"}, nil)
)

// Describe implements prometheus.Collector.
func (m *Monitor) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{descRounds, descFailures, descSuccess, descConflict, descAge} {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (m *Monitor) Collect(ch chan<- prometheus.Metric) {
	now := time.Now()
	m.mu.Lock()
	defer m.mu.Unlock()
	success := 0.0
	if !m.success.IsZero() {
		success = float64(m.success.UnixMilli()) / 1000
	}
	ch <- prometheus.MustNewConstMetric(descRounds, prometheus.CounterValue, m.rounds)
	ch <- prometheus.MustNewConstMetric(descFailures, prometheus.CounterValue, m.failures)
	ch <- prometheus.MustNewConstMetric(descSuccess, prometheus.GaugeValue, success)
	ch <- prometheus.MustNewConstMetric(descConflict, prometheus.GaugeValue, float64(len(m.conflicts)))
	for node, at := range m.last {
		ch <- prometheus.MustNewConstMetric(descAge, prometheus.GaugeValue, max(now.Sub(at).Seconds(), 0), node)
	}
}
