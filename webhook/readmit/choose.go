package readmit

import (
	"cmp"
	"slices"
	"time"

	"heteroaccel.io/pkg/accel"
)

// overhead is how long it takes until the new pod is there: a Job waits a
// second to see whether more of its pods change.
var overhead = map[ownerKind]time.Duration{ownerNone: 100 * time.Millisecond, ownerController: 100 * time.Millisecond, ownerJob: time.Second}

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
