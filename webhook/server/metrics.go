package server

import (
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"heteroaccel.io/pkg/accel"
	"heteroaccel.io/pkg/inventory"
	"heteroaccel.io/pkg/profile"
)

// outcome is how a review ended.
type outcome string

const (
	outcomeIdle      outcome = "idle"       // an idle accelerator was chosen
	outcomeWaits     outcome = "waits"      // none is idle: the pod waits for one
	outcomeRepeated  outcome = "repeated"   // another review of the same pod
	outcomeOverQuota outcome = "over_quota" // quotas or other rules seem to deny every kind
	outcomeRefused   outcome = "refused"    // with a sentence
	outcomeUntouched outcome = "untouched"  // not ours
)

// reviews counts reviews. Those that people are told of have a series from the start: of
// one that begins at 1 Prometheus does not see that it was 0 before.
type reviews struct {
	*prometheus.CounterVec
	profiles *profile.Store
}

// Collect is of prometheus.Collector.
func (r *reviews) Collect(ch chan<- prometheus.Metric) {
	r.WithLabelValues("", "", string(outcomeRefused), "false")
	for _, p := range r.profiles.All() {
		r.WithLabelValues(p.Name, "", string(outcomeRefused), "false")
		for _, k := range p.Kinds() {
			for _, o := range []outcome{outcomeIdle, outcomeWaits} {
				r.WithLabelValues(p.Name, string(k), string(o), "false")
			}
		}
	}
	r.CounterVec.Collect(ch)
}

type metrics struct {
	decisions *reviews
	duration  prometheus.Histogram
	malformed prometheus.Counter
}

func newMetrics(reg prometheus.Registerer, inv *inventory.Inventory, profiles *profile.Store) *metrics {
	m := &metrics{
		decisions: &reviews{profiles: profiles, CounterVec: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "heteroaccel_webhook_reviews_total",
			Help: "Admission reviews of pods, by the inference asked for, the kind chosen, the outcome, and whether it was a dry run.",
		}, []string{"inference", "kind", "outcome", "dry_run"})},
		duration: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name:    "heteroaccel_webhook_decision_duration_seconds",
			Help:    "Time from a decoded review to its patch.",
			Buckets: prometheus.ExponentialBuckets(20e-6, 2.5, 10),
		}),
		malformed: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "heteroaccel_webhook_malformed_reviews_total",
			Help: "Requests whose body is no AdmissionReview of a pod.",
		}),
	}
	reg.MustRegister(m.decisions, m.duration, m.malformed,
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "heteroaccel_webhook_reservations",
			Help: "Reservations: decisions whose pod was not seen yet.",
		}, func() float64 { return float64(inv.Reservations()) }),
		prometheus.NewCounterFunc(prometheus.CounterOpts{
			Name: "heteroaccel_webhook_overdue_reservations_total",
			Help: "Reservations whose pod was not seen within 10 s: the API server, or somebody who may not be it, asked about pods that were not created.",
		}, func() float64 { return float64(inv.Overdue()) }))
	return m
}

// observe counts a review. inference is "" where there is no profile of that name: anybody
// may ask for any name, and each would be a series for ever.
func (m *metrics) observe(inference string, kind accel.Kind, o outcome, dryRun bool, took time.Duration) {
	m.decisions.WithLabelValues(inference, string(kind), string(o), strconv.FormatBool(dryRun)).Inc()
	m.duration.Observe(took.Seconds())
}
