package inventory

import "k8s.io/apimachinery/pkg/types"

// Candidates are how a query's options stand now; nothing is decided.
func (inv *Inventory) Candidates(q Query) []Candidate {
	inv.mu.Lock()
	defer inv.mu.Unlock()
	now := inv.opts.Now()
	inv.markStale(now)
	inv.expire(now)
	return inv.candidates(q, now)
}

// Reconsider is Decide for a pod that waits already, whose own claim is left
// out of the candidates, and for quotas its charge. choose
// may decline with an index below 0. ok is false when it did, or when the pod
// with this UID waits no more: then nothing is reserved.
func (inv *Inventory) Reconsider(q Query, name string, uid types.UID, choose func([]Candidate) int) (chosen Candidate, ok bool) {
	inv.mu.Lock()
	defer inv.mu.Unlock()
	waiter := types.NamespacedName{Namespace: q.Namespace, Name: name}
	own, ok := inv.pending[waiter]
	if !ok || inv.pods[waiter].UID != uid {
		return Candidate{}, false
	}
	now := inv.opts.Now()
	inv.markStale(now)
	inv.expire(now)
	q.Replaces = name
	inv.excluded = own
	candidates := inv.candidates(q, now)
	inv.excluded = claim{}
	i := choose(candidates)
	if i < 0 {
		return Candidate{}, false
	}
	if q.Reservation != "" && candidates[i].Admitted() {
		inv.reserve(q.Reservation, q.Namespace, candidates[i].Option, now)
	}
	return candidates[i], true
}

// Wakeups yields after changes through which a pod that waits might find
// something idle: a pod ended, a node or its devices came or came back, a
// claim was given up. Several changes may yield once; there is one reader.
func (inv *Inventory) Wakeups() <-chan struct{} { return inv.wakeups }

func (inv *Inventory) wake() {
	select {
	case inv.wakeups <- struct{}{}:
	default: // one is pending already
	}
}

// mayFitMore reports whether n, which comes in the place of old, may have room
// that old had not. It may err on the side of yes.
func (n *Node) mayFitMore(old *Node) bool {
	if old == nil {
		return n.known
	}
	return n.Pods < old.Pods || n.MaxPods > old.MaxPods || n.known != old.known || n.fresh != old.fresh ||
		n.traits != old.traits || !n.Allocatable.Equal(old.Allocatable) || !n.Capacity.Equal(old.Capacity) ||
		!n.blocked.Equal(old.blocked) || n.Pods == old.Pods && !n.Held.Equal(old.Held)
}
