package choice

import (
	"slices"
	"time"

	"heteroaccel.io/pkg/accel"
	"heteroaccel.io/pkg/inventory"
	"heteroaccel.io/pkg/policy"
	"heteroaccel.io/webhook/readmit/pending"
)

// SetDeadline gives candidates the deadline of a pod that waits for kind, and that another
// kind begins later with, by what it takes to recreate or move the pod.
func SetDeadline(candidates []inventory.Candidate, kind accel.Kind, d inventory.Deadline, o pending.OwnerKind) {
	for i := range candidates {
		c := &candidates[i]
		if c.Deadline = d; d.Of > 0 && c.Kind != kind {
			c.Deadline.Left -= recreationTime[o]
		}
	}
}

// Keeps reports whether a pod that waits for kind is expected to miss its deadline there,
// and to make it with the kind that leads a ranking.
func Keeps(ranked []policy.Ranked, kind accel.Kind) bool {
	best := ranked[0]
	if best.Deadline.Of <= 0 || best.Late || best.Kind == kind {
		return false
	}
	i := slices.IndexFunc(ranked, func(r policy.Ranked) bool { return r.Kind == kind })
	return i >= 0 && (ranked[i].Late || ranked[i].Refused != nil)
}

// Slack is in how long a kind that is busy, and expected to make a pod's deadline all the
// same, misses it if none of its pods ends until then; 0 where there is no such kind, or
// none but the pod's own is idle to go to. No event tells of that.
func Slack(rank policy.Policy, candidates []inventory.Candidate, kind accel.Kind) (slack time.Duration) {
	if !slices.ContainsFunc(candidates, func(c inventory.Candidate) bool { return c.Kind != kind && c.Refused == nil && c.Idle() > 0 }) {
		return 0
	}
	for _, r := range rank(candidates) {
		if r.Deadline.Of <= 0 || r.Late || r.Wait <= 0 || r.Refused != nil || r.Nodes <= 0 || r.Finish == policy.Never {
			continue
		}
		// A nanosecond more: one that is done just in time is not late.
		if left := r.Deadline.Left - r.Finish + 1; slack == 0 || left < slack {
			slack = left
		}
	}
	return slack
}
