package server

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"heteroaccel.io/extender/placement"
	"heteroaccel.io/pkg/inventory"
)

// result is how a request of kube-scheduler's ended.
type result int

const (
	answered result = iota // 200, with verdicts or scores
	failed                 // 200, with an Error: the pod cannot be placed
	refused                // 4xx: not what kube-scheduler sends
	results
)

var resultNames = [results]string{"answered", "failed", "refused"}

// verb is a verb's metrics, looked up once: a request only adds to them.
type verb struct {
	seconds [results]prometheus.Observer
}

func (v *verb) done(r result, since time.Time) {
	v.seconds[r].Observe(time.Since(since).Seconds())
}

type metrics struct {
	filter, prioritize, preempt verb
	// rejected counts nodes that a filter, spared those that preempt took out.
	rejected, spared map[placement.Cause]prometheus.Counter
	unasked          *prometheus.CounterVec
}

func newMetrics(reg prometheus.Registerer, inv *inventory.Inventory) *metrics {
	auto := promauto.With(reg)
	seconds := auto.NewHistogramVec(prometheus.HistogramOpts{
		Name:    "heteroaccel_extender_request_duration_seconds",
		Help:    "How long requests of kube-scheduler took, by verb and result.",
		Buckets: prometheus.ExponentialBuckets(50e-6, 2, 14), // 50 µs to 0.4 s
	}, []string{"verb", "result"})
	rejected := auto.NewCounterVec(prometheus.CounterOpts{
		Name: "heteroaccel_extender_nodes_rejected_total",
		Help: "Nodes that the filter rejected, by reason.",
	}, []string{"reason"})
	spared := auto.NewCounterVec(prometheus.CounterOpts{
		Name: "heteroaccel_extender_preemption_nodes_rejected_total",
		Help: "Nodes on which kube-scheduler would have evicted pods for a device that could not be used, by reason.",
	}, []string{"reason"})
	auto.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "heteroaccel_extender_stale_nodes",
		Help: "Nodes without a fresh sample, for which Kubernetes' own accounting counts alone.",
	}, func() float64 { return float64(stale(inv)) })

	m := &metrics{
		rejected: map[placement.Cause]prometheus.Counter{},
		spared:   map[placement.Cause]prometheus.Counter{},
		unasked: auto.NewCounterVec(prometheus.CounterOpts{
			Name: "heteroaccel_extender_bypassed_pods_total",
			Help: "Pods that request a profile's resource and were bound without the extender being asked, by resource.",
		}, []string{"resource"}),
	}
	for r, name := range resultNames {
		m.filter.seconds[r] = seconds.WithLabelValues("filter", name)
		m.prioritize.seconds[r] = seconds.WithLabelValues("prioritize", name)
		m.preempt.seconds[r] = seconds.WithLabelValues("preempt", name)
	}
	for _, c := range []placement.Cause{placement.Absent, placement.Unhealthy, placement.ExternalUse} {
		m.rejected[c] = rejected.WithLabelValues(string(c))
	}
	for _, c := range []placement.Cause{placement.Unhealthy, placement.ExternalUse} {
		m.spared[c] = spared.WithLabelValues(string(c))
	}
	return m
}

func stale(inv *inventory.Inventory) int {
	n, now := 0, inv.Now()
	for _, node := range inv.Nodes() {
		if !node.Fresh(now, inv.MaxTelemetryAge()) {
			n++
		}
	}
	return n
}
