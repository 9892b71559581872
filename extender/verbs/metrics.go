package verbs

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"heteroaccel.io/extender/placement"
	"heteroaccel.io/pkg/inventory"
)

// result is how a request of kube-scheduler ended.
type result int

const (
	answered result = iota // 200, with verdicts or scores
	failed                 // 200, with an Error: the pod cannot be placed
	refused                // 4xx: not what kube-scheduler sends
	results
)

var resultNames = [results]string{"answered", "failed", "refused"}

// verbMetrics are a verb's metrics, looked up once: a request only adds to them.
type verbMetrics struct {
	seconds [results]prometheus.Observer
}

type metrics struct {
	filter, prioritize, preempt verbMetrics
	// rejected and preemptRejected count the nodes that filter and preempt
	// rejected.
	rejected, preemptRejected map[placement.Reason]prometheus.Counter
}

func newMetrics(reg prometheus.Registerer, inv *inventory.Inventory) *metrics {
	auto := promauto.With(reg)
	seconds := auto.NewHistogramVec(prometheus.HistogramOpts{
		Name:    "heteroaccel_extender_request_duration_seconds",
		Help:    "Duration of kube-scheduler's requests, by verb and result.",
		Buckets: prometheus.ExponentialBuckets(50e-6, 2, 14), // 50 µs to 0.4 s
	}, []string{"verb", "result"})
	rejected := auto.NewCounterVec(prometheus.CounterOpts{
		Name: "heteroaccel_extender_nodes_rejected_total",
		Help: "Nodes that filter rejected, by reason.",
	}, []string{"reason"})
	preemptRejected := auto.NewCounterVec(prometheus.CounterOpts{
		Name: "heteroaccel_extender_preemption_nodes_rejected_total",
		Help: "Candidate nodes that preempt rejected because evicting pods would free no usable device, by reason.",
	}, []string{"reason"})
	auto.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "heteroaccel_extender_stale_nodes",
		Help: "Nodes without fresh telemetry, for which Kubernetes' accounting alone decides.",
	}, func() float64 { return float64(stale(inv)) })

	m := &metrics{
		rejected:        map[placement.Reason]prometheus.Counter{},
		preemptRejected: map[placement.Reason]prometheus.Counter{},
	}
	for r, name := range resultNames {
		m.filter.seconds[r] = seconds.WithLabelValues("filter", name)
		m.prioritize.seconds[r] = seconds.WithLabelValues("prioritize", name)
		m.preempt.seconds[r] = seconds.WithLabelValues("preempt", name)
	}
	for _, c := range []placement.Reason{placement.Absent, placement.Unhealthy, placement.ExternalUse} {
		m.rejected[c] = rejected.WithLabelValues(string(c))
	}
	for _, c := range []placement.Reason{placement.Unhealthy, placement.ExternalUse} {
		m.preemptRejected[c] = preemptRejected.WithLabelValues(string(c))
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
