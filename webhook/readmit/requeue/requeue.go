package requeue

import (
	"context"
	"maps"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/apimachinery/pkg/types"

	"heteroaccel.io/webhook/readmit/pending"
	"heteroaccel.io/webhook/readmit/podapi"
	"heteroaccel.io/webhook/refusals"
)

const (
	// schedulerGrace is how long kube-scheduler has to find out by itself that
	// what a pod waits for is usable.
	schedulerGrace = 300 * time.Millisecond
	// maxPause is what podapi.RequeuePause doubles up to.
	maxPause = 5 * time.Minute
)

// Config is what a Requeuer needs; every field is required.
type Config struct {
	Pods     *podapi.Client
	Refusals *refusals.Memory
	// Requeues counts requeued pods, Verdicts accepted verdicts.
	Requeues, Verdicts prometheus.Counter
	// Began is when the term did.
	Began time.Time
	// Go runs a task beside the loop.
	Go func(func())
}

// Requeuer requeues pods. Use New.
type Requeuer struct {
	Config
	// usableSince is when the kind that a group waits for became usable.
	usableSince map[*pending.Template]time.Time
	requeued    map[types.UID]*requeued
}

// requeued is how often a pod was requeued, and when last.
type requeued struct {
	times int
	last  time.Time
}

// New returns a requeuer.
func New(c Config) *Requeuer {
	return &Requeuer{Config: c, usableSince: map[*pending.Template]time.Time{}, requeued: map[types.UID]*requeued{}}
}

// Keep forgets all pods and templates but those that are pending.
func (r *Requeuer) Keep(pod func(types.UID) bool, template func(*pending.Template) bool) {
	maps.DeleteFunc(r.requeued, func(uid types.UID, _ *requeued) bool { return !pod(uid) })
	maps.DeleteFunc(r.usableSince, func(t *pending.Template, _ time.Time) bool { return !template(t) })
}

// unserved is the pod of a group that the scheduler tries first, if it found no
// node for it while its kind counts as usable, and since when that has been so;
// nil when it is not.
func (r *Requeuer) unserved(g *pending.Group, now time.Time) (since time.Time, first *pending.Pod) {
	if g.Own.Usable == 0 {
		delete(r.usableSince, g.Template)
		return now, nil
	}
	since, known := r.usableSince[g.Template]
	if !known {
		since = now
		r.usableSince[g.Template] = now
	}
	return since, g.FirstUnschedulable()
}

// Requeue makes kube-scheduler look again at the first pod of a group whose own
// kind is usable while that pod was found unschedulable. It returns in how long
// it wants to look again, 0 for not.
//
// Telemetry that makes a device usable is no event of the cluster: nothing else
// would tell the scheduler of it. A change of the pod's annotations requeues
// what only the extender rejected; what a plugin of the scheduler rejected is
// requeued by the events that the plugin registered for.
func (r *Requeuer) Requeue(ctx context.Context, g *pending.Group, now time.Time) time.Duration {
	since, first := r.unserved(g, now)
	if first == nil {
		return 0
	}
	s := r.requeued[first.UID]
	due := since.Add(schedulerGrace)
	if s != nil {
		wait := podapi.RequeuePause
		for range s.times - 1 {
			wait = min(2*wait, maxPause)
		}
		if again := s.last.Add(wait); again.After(due) {
			due = again
		}
	}
	if wait := due.Sub(now); wait > 0 {
		return wait
	}
	if s == nil {
		s = &requeued{}
		r.requeued[first.UID] = s
	}
	s.times, s.last = s.times+1, now
	r.Go(func() {
		r.Requeues.Inc()
		if err := r.Pods.Requeue(ctx, first.Key(), first.UID, now); err != nil {
			r.Pods.Log.Info().Err(err).Str("pod", first.Key().String()).Msg("requeue pod: not annotated")
		}
	})
	return podapi.RequeuePause
}
