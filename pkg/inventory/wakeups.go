package inventory

// Wakeups yields after changes that may let a pending pod find something idle: a
// pod ended, a node or its devices were added or recovered, a claim was removed.
// Several changes may yield once; there is one reader.
func (inv *Inventory) Wakeups() <-chan struct{} { return inv.wakeups }

func (inv *Inventory) wake() {
	select {
	case inv.wakeups <- struct{}{}:
	default: // one is pending already
	}
}

// mayFitMore reports whether n, the new form of old, may fit pods that old did
// not. It errs on the side of true.
func (n *Node) mayFitMore(old *Node) bool {
	if old == nil {
		return n.known
	}
	return n.Pods < old.Pods || n.MaxPods > old.MaxPods || n.known != old.known || n.fresh != old.fresh ||
		n.traits != old.traits || n.allocations < old.allocations || !n.blockedSlots.Equal(old.blockedSlots) || !n.Allocatable.Equal(old.Allocatable) || !n.Capacity.Equal(old.Capacity) ||
		!n.blocked.Equal(old.blocked) || n.Pods == old.Pods && n.allocations == old.allocations && !n.Held.Equal(old.Held)
}
