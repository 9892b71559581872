package readmit

import (
	"errors"

	"github.com/prometheus/client_golang/prometheus"
)

type metrics struct {
	done     *prometheus.CounterVec
	retries  prometheus.Counter
	verdicts prometheus.Counter
}

func newMetrics(reg prometheus.Registerer, r *Readmitter) *metrics {
	m := &metrics{
		done: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "heteroaccel_webhook_readmissions_total",
			Help: "Pods to be recreated for another kind, by what makes them (none: we do), and how it ended: done, lost to a change of the pod, refused, failed.",
		}, []string{"owner", "outcome"}),
		retries: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "heteroaccel_webhook_scheduler_requeues_total",
			Help: "Pods that were touched so that kube-scheduler looks at them again.",
		}),
	}
	m.verdicts = prometheus.NewCounter(prometheus.CounterOpts{
		Name: "heteroaccel_webhook_unschedulable_verdicts_total",
		Help: "Times kube-scheduler was believed that a kind which counts as usable has no node for a class of pods.",
	})
	reg.MustRegister(m.done, m.retries, m.verdicts,
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "heteroaccel_webhook_readmission_suspended",
			Help: "Whether somebody has stopped all moves of waiting pods: 1 yes, 0 no.",
		}, func() float64 {
			if r.Suspended() {
				return 1
			}
			return 0
		}),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "heteroaccel_webhook_waiting_pods",
			Help: "Pods that wait for the kind they were given and could be recreated.",
		}, func() float64 {
			r.mu.Lock()
			defer r.mu.Unlock()
			return float64(len(r.book.waiting))
		}),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "heteroaccel_webhook_readmission_records",
			Help: "Bare pods that are being recreated: at rest it is 0.",
		}, func() float64 {
			r.mu.Lock()
			defer r.mu.Unlock()
			n := 0
			for _, used := range r.slots {
				if used != "" {
					n++
				}
			}
			return float64(n)
		}))
	return m
}

func (m *metrics) observe(owner ownerKind, err error) {
	outcome := "done"
	switch {
	case errors.Is(err, errLost):
		outcome = "lost"
	case refused(err):
		outcome = "refused"
	case err != nil:
		outcome = "failed"
	}
	m.done.WithLabelValues(string(owner), outcome).Inc()
}
