package requeue

import (
	"time"

	"heteroaccel.io/pkg/inventory"
	"heteroaccel.io/webhook/readmit/pending"
)

const (
	// freshVerdictGrace is how long the scheduler has, instead of
	// inventory.VerdictGrace, where it gave its verdict after the kind had become
	// usable: its own view may be behind ours by a moment, and then it tries again
	// after a second (podInitialBackoffSeconds).
	freshVerdictGrace = 3 * time.Second
	// watchPause is how long kube-scheduler's watches may be behind once the API server
	// is back: client-go's longest pause before it watches again, 30 s, and as much
	// again by chance.
	watchPause = time.Minute
	// lookAgain is how soon the pods of an accepted verdict are looked at.
	lookAgain = 10 * time.Millisecond
)

// AcceptVerdict accepts the scheduler's verdict that a kind which counts as
// usable has no node for the pods of a group. Its plugins know more than we do:
// of volumes, of inter-pod affinity, of ports. It returns in how long it wants to
// look again, 0 for not.
func (r *Requeuer) AcceptVerdict(g *pending.Group, now time.Time) time.Duration {
	for i := range g.Candidates { // pods that wait for another kind want to know too
		r.Refusals.CapacityChanged(g.RefusalGroup, &g.Candidates[i])
	}
	since, first := r.unserved(g, now)
	if first == nil || g.Own.Refused != nil && g.Own.Refused.Unschedulable {
		return 0
	}
	due := since.Add(inventory.VerdictGrace)
	// Where a term began the API server may have been away, for the scheduler too: what
	// it said before may be all that it could.
	if back := r.Began.Add(watchPause + inventory.VerdictGrace); !first.VerdictSince.After(r.Began) && back.After(due) {
		due = back
	}
	if fresh := first.VerdictSince.Add(freshVerdictGrace); first.VerdictSince.After(since) && fresh.Before(due) {
		due = fresh
	}
	if wait := due.Sub(now); wait > 0 {
		return wait
	}
	r.Refusals.Unschedulable(g.RefusalGroup, &g.Own, first.Verdict)
	r.Verdicts.Inc()
	r.Pods.Log.Info().Str("pod", first.Key().String()).Str("kind", string(g.Kind)).Str("scheduler", first.Verdict).
		Msg("accept the scheduler's verdict: no node for the pod although its kind counts as usable")
	return lookAgain
}
