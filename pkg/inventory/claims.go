package inventory

// spot is a node with slots that nothing has claimed yet.
type spot struct {
	node *Node
	left int64
}

// claims counts what waiting pods and reservations take of the slots that
// pods of shape s, which has a table, find free, and how many of them find
// none there but could run on one of the nodes.
//
// Each claim is dealt to spots it may use, those tied to certain nodes first.
// A pod that waits for a device elsewhere therefore takes nothing away here.
// Dealing is greedy: it can err, by calling a slot taken that a cleverer
// dealing would leave free, only where claims with different node affinities
// meet.
func (inv *Inventory) claims(s *shape) (claimed, queued int64) {
	var spots []spot
	listed := false
	for _, claim := range inv.queue {
		want := share(claim.needs, s.needs) * claim.waiting
		if want == 0 {
			continue
		}
		if !listed {
			spots, listed = inv.spotsOf(s.table), true
		}
		for len(spots) > 0 && spots[0].left == 0 {
			spots = spots[1:]
		}
		took := deal(claim, want, spots)
		claimed += took
		if took < want && inv.meet(claim, s.table) {
			queued += want - took
		}
	}
	return claimed, queued
}

// spotsOf lists the nodes with free slots. The list is good until the next.
func (inv *Inventory) spotsOf(t *table) []spot {
	inv.spots = inv.spots[:0]
	if t.usable == 0 {
		return nil
	}
	for i := range t.rooms {
		if slots := t.rooms[i].slots; slots > 0 {
			inv.spots = append(inv.spots, spot{inv.places[i], int64(slots)})
		}
	}
	return inv.spots
}

// deal takes what a claim wants from the spots it may use.
func deal(claim *shape, want int64, spots []spot) (took int64) {
	for i := range spots {
		if took == want {
			break
		}
		at := &spots[i]
		if at.left == 0 || !claim.reach.has(at.node.place) || at.node.Slots(claim.needs, false) == 0 {
			continue
		}
		n := min(want-took, at.left)
		at.left -= n
		took += n
	}
	return took
}

// meet reports whether a claim could run on one of a table's nodes.
func (inv *Inventory) meet(claim *shape, t *table) bool {
	for i := range t.rooms {
		if t.rooms[i].total > 0 && claim.reach.has(i) && inv.places[i].Total(claim.needs) > 0 {
			return true
		}
	}
	return false
}

// mostShare bounds a claim, so that no number of them overflows.
const mostShare = 1 << 32

// share is how many slots of the size of need a claim takes, rounded up; 0
// when the two are after different things.
func share(claim, need Resources) int64 {
	if len(need.Devices) == 0 {
		if len(claim.Devices) > 0 || claim.CPU == 0 || need.CPU == 0 {
			return 0
		}
		return min((claim.CPU+need.CPU-1)/need.CPU, mostShare)
	}
	var slots int64
	for _, d := range need.Devices {
		if count := claim.Device(d.Resource); count > 0 {
			slots = max(slots, (count+d.Count-1)/max(1, d.Count))
		}
	}
	return min(slots, mostShare)
}
