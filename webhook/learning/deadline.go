package learning

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"heteroaccel.io/pkg/accel"
	"heteroaccel.io/pkg/inventory"
)

const (
	kept   = "kept"
	missed = "missed"
)

// newDeadlines are the runs that succeeded and had a deadline.
func newDeadlines() *prometheus.CounterVec {
	deadlines := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "heteroaccel_webhook_deadlines_total",
		Help: "Runs that succeeded of pods with a deadline, by whether it was kept.",
	}, []string{"outcome"})
	deadlines.WithLabelValues(kept)
	deadlines.WithLabelValues(missed)
	return deadlines
}

// countDeadline counts a pod that ended by whether it kept its deadline, if it had one and
// its run succeeded.
func (l *Learner) countDeadline(p *inventory.Pod) {
	if p.Deleted || !p.Run.Succeeded || !p.Run.Ends || p.Run.Ended.IsZero() {
		return
	}
	ofProfile := time.Duration(0)
	if of, ok := l.cfg.Profiles.Get(p.Managed.Inference); ok {
		ofProfile = of.Deadline
	}
	deadline := accel.Request{Deadline: p.Managed.Deadline}.DeadlineOr(ofProfile)
	if deadline <= 0 {
		return
	}
	// The API cuts the time at which it ended to whole seconds: it was less than a second
	// later, and before it was seen here.
	ended := p.Run.Ended.Add(time.Second)
	if now := l.cfg.Now(); now.Before(ended) {
		ended = now
	}
	outcome := kept
	if ended.Sub(p.First()) > deadline {
		outcome = missed
	}
	l.deadlines.WithLabelValues(outcome).Inc()
}
