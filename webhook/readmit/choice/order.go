package choice

import (
	"cmp"
	"slices"
	"time"

	"heteroaccel.io/webhook/readmit/pending"
)

// Contender is a pod that may gain by being recreated. Gain is that of the last
// pod of its template in the queue: those before it gain less, and go first. Where that
// one gains nothing, it is the pod's own, which gains by its deadline alone.
type Contender struct {
	*pending.Pod
	Gain time.Duration
	// Keeps is the deadline that it makes so, and misses where it waits; zero for none.
	Keeps time.Time
}

// Order sorts contenders: first those that ran out of patience, the oldest of
// them first; then by priority; then those that make a deadline so which they would miss,
// the soonest first; then by gain and age.
func Order(contenders []Contender, now time.Time, patience time.Duration) {
	slices.SortFunc(contenders, func(a, b Contender) int {
		lateA, lateB := now.Sub(a.Created) > patience, now.Sub(b.Created) > patience
		switch {
		case lateA && lateB:
			return pending.OldestFirst(a.Pod, b.Pod)
		case lateA:
			return -1
		case lateB:
			return 1
		}
		return cmp.Or(cmp.Compare(b.Priority, a.Priority), SoonestFirst(a.Keeps, b.Keeps), cmp.Compare(b.Gain, a.Gain), pending.OldestFirst(a.Pod, b.Pod))
	})
}

// SoonestFirst orders deadlines, and those that there are before none.
func SoonestFirst(a, b time.Time) int {
	switch {
	case a.IsZero() == b.IsZero():
		return a.Compare(b)
	case a.IsZero():
		return 1
	}
	return -1
}
