package readmit

import (
	"errors"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"heteroaccel.io/webhook/readmit/pending"
	"heteroaccel.io/webhook/readmit/podapi"
)

type metrics struct {
	readmissions *prometheus.CounterVec
	requeues     prometheus.Counter
	verdicts     prometheus.Counter
	claims       *prometheus.CounterVec
	upgrades     *prometheus.CounterVec
	ends         ends
}

func newMetrics() *metrics {
	return &metrics{
		ends: newEnds(),
		readmissions: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "heteroaccel_webhook_readmissions_total",
			Help: "Attempts to recreate a pending pod for another kind, by what recreates it (none: the webhook itself; claim: it is not recreated, but gets another ResourceClaim) and outcome: done, lost (the pod changed meanwhile), refused, failed.",
		}, []string{"owner", "outcome"}),
		requeues: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "heteroaccel_webhook_scheduler_requeues_total",
			Help: "Pending pods that were annotated so that kube-scheduler looks at them again.",
		}),
		claims: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "heteroaccel_webhook_claims_total",
			Help: "ResourceClaims of pods that are bound late, by outcome: done, refused by the API server, failed and tried again. Those of moved pods are not counted here.",
		}, []string{"outcome"}),
		upgrades: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "heteroaccel_webhook_upgrades_total",
			Help: "Attempts to move a server to a faster kind, by why (rollout: a pod of the revision before it held that; asked: its annotation) and outcome: done, lost (it changed meanwhile), refused (also where its successor was not Ready), failed.",
		}, []string{"why", "outcome"}),
		verdicts: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "heteroaccel_webhook_unschedulable_verdicts_total",
			Help: "Accepted verdicts of kube-scheduler that it finds no node for a group of pods although their kind counts as usable.",
		}),
	}
}

// What became of an attempt to recreate a pod.
const (
	done    = "done"
	lost    = "lost" // the pod changed meanwhile
	refused = "refused"
	failed  = "failed"
)

// register registers the metrics, once all of r is there.
func (m *metrics) register(reg prometheus.Registerer, r *Readmitter) {
	// Of a series that begins at 1 Prometheus does not see that it was 0 before.
	for _, owner := range []pending.OwnerKind{pending.OwnerController, pending.OwnerJob, pending.OwnerNone} {
		for _, outcome := range []string{done, lost, refused, failed} {
			m.readmissions.WithLabelValues(string(owner), outcome)
		}
	}
	for _, why := range []string{becauseOfRollout, becauseAsked} {
		for _, outcome := range []string{done, lost, refused, failed} {
			m.upgrades.WithLabelValues(why, outcome)
		}
	}
	reg.MustRegister(m.readmissions, m.requeues, m.verdicts, m.claims, m.upgrades, m.ends.claims, m.ends.seconds,
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "heteroaccel_webhook_readmission_suspended",
			Help: "Whether readmission is suspended: 1 yes, 0 no.",
		}, func() float64 {
			if r.Suspended() {
				return 1
			}
			return 0
		}),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "heteroaccel_webhook_flapping_owners",
			Help: "Deployments, or other owners of servers, whose servers were moved within the last hour more than three times each.",
		}, func() float64 {
			if t := r.current.Load(); t != nil {
				return float64(t.upgrades.ledger.Flapping(r.servers.Count, time.Now()))
			}
			return 0
		}),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "heteroaccel_webhook_waiting_pods",
			Help: "Pending pods that could be recreated for another kind.",
		}, func() float64 { return float64(r.pending.Len()) }),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "heteroaccel_webhook_readmission_records",
			Help: "Bare pods that are being recreated, with their manifest in a Secret: 0 when idle.",
		}, func() float64 {
			if t := r.current.Load(); t != nil {
				return float64(t.bare.Records())
			}
			return 0
		}))
}

func (m *metrics) observe(owner pending.OwnerKind, err error) {
	m.readmissions.WithLabelValues(string(owner), outcomeOf(err)).Inc()
}

func outcomeOf(err error) string {
	switch {
	case errors.Is(err, podapi.ErrChanged):
		return lost
	case podapi.Rejected(err):
		return refused
	case err != nil:
		return failed
	}
	return done
}
