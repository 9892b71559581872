package pending

import (
	"cmp"
	"slices"

	"heteroaccel.io/pkg/accel"
)

// Positions are how many pods are before each in the queue of its kind.
func Positions(pods []*Pod) map[*Pod]int64 {
	positions := make(map[*Pod]int64, len(pods))
	queued := map[accel.Kind]int64{}
	for _, p := range slices.SortedFunc(slices.Values(pods), QueueOrder) {
		positions[p] = queued[p.Template.Kind]
		queued[p.Template.Kind]++
	}
	return positions
}

// QueueOrder is the order of kube-scheduler's queue: by priority, then by age.
func QueueOrder(a, b *Pod) int {
	return cmp.Or(cmp.Compare(b.Priority, a.Priority), OldestFirst(a, b))
}

// OldestFirst orders pods by age.
func OldestFirst(a, b *Pod) int {
	return cmp.Or(a.Created.Compare(b.Created), cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Name, b.Name))
}
