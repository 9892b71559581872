package forward

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// What became of a review that this replica did not lead for when it came.
const (
	outcomeForwarded = "forwarded" // the leader answered it
	outcomeHere      = "here"      // this replica led in time
	outcomeTimedOut  = "timed_out" // nobody answered within the API server's time
	outcomeDropped   = "dropped"   // too many were held
	outcomeAbandoned = "abandoned" // the API server did not wait
)

type metrics struct {
	took     *prometheus.HistogramVec
	held     prometheus.Gauge
	failures prometheus.Counter
}

func newMetrics(reg prometheus.Registerer) *metrics {
	m := &metrics{
		took: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "heteroaccel_webhook_forward_duration_seconds",
			Help:    "Time until a review was answered that came while this replica did not lead, by what became of it.",
			Buckets: []float64{.001, .002, .005, .01, .02, .05, .1, .2, .5, 1, 2, 5, 10, 30},
		}, []string{"outcome"}),
		held: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "heteroaccel_webhook_held_reviews",
			Help: "Reviews that wait for the replica that leads, or for its answer.",
		}),
		failures: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "heteroaccel_webhook_forward_failures_total",
			Help: "Attempts to forward a review that the leader did not answer.",
		}),
	}
	for _, o := range []string{outcomeForwarded, outcomeHere, outcomeTimedOut, outcomeDropped, outcomeAbandoned} {
		m.took.WithLabelValues(o)
	}
	reg.MustRegister(m.took, m.held, m.failures)
	return m
}

func (m *metrics) observe(outcome string, start time.Time) {
	m.took.WithLabelValues(outcome).Observe(time.Since(start).Seconds())
}
