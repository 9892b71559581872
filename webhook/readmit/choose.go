package readmit

import (
	"cmp"
	"slices"
	"time"

	"heteroaccel.io/pkg/accel"
	"heteroaccel.io/pkg/inventory"
	"heteroaccel.io/pkg/policy"
)

// Rules are the limits of re-admission.
type Rules struct {
	// Margin is by how much sooner the pod must be expected to be done.
	Margin time.Duration
	// Backoff is how long a pod is left alone after it was recreated once,
	// doubling with each further time.
	Backoff time.Duration
	// Patience is how long a pod waits before it goes before those of a higher
	// priority.
	Patience time.Duration
}

// longestBackoff bounds what the doubling comes to.
const longestBackoff = time.Hour

// Rested is when a pod that was recreated count times, the last time at
// created, may be recreated once more.
func (r Rules) Rested(created time.Time, count int) time.Time {
	if count <= 0 {
		return created
	}
	pause := r.Backoff
	for range count - 1 {
		if pause *= 2; pause >= longestBackoff {
			break
		}
	}
	return created.Add(min(pause, longestBackoff))
}

// overhead is how long it takes until the new pod is there: a Job waits a
// second to see whether more of its pods change.
var overhead = map[ownerKind]time.Duration{ownerNone: 100 * time.Millisecond, ownerController: 100 * time.Millisecond, ownerJob: time.Second}

// Better finds what a pod that waits for kind should rather have: the policy's
// first choice, if kind has nothing usable while that is idle, nobody refuses
// it, and the pod is done there sooner by more than margin. A pod for which the
// scheduler finds no node on its kind, usable or not, should have the policy's
// first choice even if that is not idle. to is an index into candidates, -1
// when the pod is best left waiting. gain is policy.Never where nothing of kind
// is ever expected to free.
func Better(choose policy.Policy, candidates []inventory.Candidate, kind accel.Kind, margin time.Duration) (to int, gain time.Duration) {
	own := slices.IndexFunc(candidates, func(c inventory.Candidate) bool { return c.Kind == kind })
	if own < 0 {
		return -1, 0
	}
	stuck := candidates[own].Refused != nil && candidates[own].Refused.Unschedulable
	if !stuck && (candidates[own].Usable > 0 || !slices.ContainsFunc(candidates, func(c inventory.Candidate) bool { return c.Idle() > 0 })) {
		return -1, 0
	}
	ranked := choose(candidates)
	best := ranked[0]
	if best.Index == own || best.Refused != nil || best.Nodes == 0 {
		return -1, 0
	}
	if stuck {
		return best.Index, policy.Never
	}
	if best.Idle() == 0 || best.Finish == policy.Never {
		return -1, 0
	}
	i := slices.IndexFunc(ranked, func(r policy.Ranked) bool { return r.Index == own })
	if ranked[i].Finish == policy.Never {
		return best.Index, policy.Never
	}
	if gain = ranked[i].Finish - best.Finish; gain <= margin {
		return -1, 0
	}
	return best.Index, gain
}

// ahead counts how many of the pods that wait for each waiter's kind come
// before it there, by priority and age.
func ahead(waiters []*waiter) map[*waiter]int64 {
	before := make(map[*waiter]int64, len(waiters))
	seen := map[accel.Kind]int64{}
	for _, w := range slices.SortedFunc(slices.Values(waiters), inLine) {
		before[w] = seen[w.class.kind]
		seen[w.class.kind]++
	}
	return before
}

// inLine is the order of kube-scheduler's queue.
func inLine(a, b *waiter) int {
	return cmp.Or(cmp.Compare(b.priority, a.priority), oldest(a, b))
}

func oldest(a, b *waiter) int {
	return cmp.Or(a.created.Compare(b.created), cmp.Compare(a.namespace, b.namespace), cmp.Compare(a.name, b.name))
}

// Placed are the candidates for a pod with so many before it: those behind it
// do not make its wait longer.
func Placed(candidates []inventory.Candidate, kind accel.Kind, before int64) []inventory.Candidate {
	candidates = slices.Clone(candidates)
	for i := range candidates {
		if c := &candidates[i]; c.Kind == kind {
			c.Queued = min(c.Queued, before)
		}
	}
	return candidates
}

// turn is a pod that would gain, and by how much the last of its kind would.
type turn struct {
	*waiter
	gain time.Duration
}

// order sorts the turns: who ran out of patience first, the oldest of them
// before the rest; then by priority, gain and age.
func order(turns []turn, now time.Time, patience time.Duration) {
	slices.SortFunc(turns, func(a, b turn) int {
		lateA, lateB := now.Sub(a.created) > patience, now.Sub(b.created) > patience
		switch {
		case lateA && lateB:
			return oldest(a.waiter, b.waiter)
		case lateA:
			return -1
		case lateB:
			return 1
		}
		return cmp.Or(cmp.Compare(b.priority, a.priority), cmp.Compare(b.gain, a.gain), oldest(a.waiter, b.waiter))
	})
}
