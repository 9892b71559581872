package choice

import (
	"cmp"
	"slices"
	"time"

	"heteroaccel.io/webhook/readmit/pending"
)

// Contender is a pod that may gain by being recreated. Gain is that of the last
// pod of its template in the queue: those before it gain less.
type Contender struct {
	*pending.Pod
	Gain time.Duration
}

// Order sorts contenders: first those that ran out of patience, the oldest of
// them first; then by priority, gain and age.
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
		return cmp.Or(cmp.Compare(b.Priority, a.Priority), cmp.Compare(b.Gain, a.Gain), pending.OldestFirst(a.Pod, b.Pod))
	})
}
