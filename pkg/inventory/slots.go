package inventory

import (
	"heteroaccel.io/pkg/accel"
	"heteroaccel.io/pkg/resources"
)

// Slots are the slots of a node's devices that ResourceSlices list, by DeviceClass:
// Amounts have them as accel.ClassResource. A device that several classes select
// counts for each.
type Slots struct {
	// Capacity are all slots. Allocatable are those of devices without a taint that
	// keeps pods off; Blocked are the slots of the others that nobody holds.
	Capacity, Allocatable, Blocked resources.Amounts
}

func (s Slots) none() bool {
	return len(s.Capacity.Devices) == 0 && len(s.Allocatable.Devices) == 0 && len(s.Blocked.Devices) == 0
}

// SetSlots takes the slots of a node, all of them; none where it has none any more.
// The node may be shown before or after. Where an allocation that is new or ends
// changes what is blocked, the call that makes less usable comes first.
func (inv *Inventory) SetSlots(node string, s Slots) {
	inv.mu.Lock()
	defer inv.mu.Unlock()
	old := inv.slots[node]
	inv.countClasses(old, -1)
	inv.countClasses(s, 1)
	if s.none() {
		delete(inv.slots, node)
	} else {
		inv.slots[node] = s
	}
	if n := inv.nodes[node]; n != nil && n.known {
		m := *n
		m.replaceSlots(old, s)
		inv.putNode(&m)
	}
}

// replaceSlots replaces what ResourceSlices add to a record that nobody else has seen
// yet.
func (n *Node) replaceSlots(old, s Slots) {
	n.Allocatable = replaced(n.Allocatable, old.Allocatable, s.Allocatable)
	n.Capacity = replaced(n.Capacity, old.Capacity, s.Capacity)
	n.blockedSlots = s.Blocked
}

// replaced is r with one part of it replaced, by resource.
func replaced(r, old, part resources.Amounts) resources.Amounts {
	if len(old.Devices) == 0 && len(part.Devices) == 0 {
		return r
	}
	return sum(r.Plus(old, -1), part)
}

// countClasses adds a node with these slots to those that offer their classes, or with
// -1 takes it away.
func (inv *Inventory) countClasses(s Slots, n int) {
	for _, d := range s.Capacity.Devices {
		if d.Count <= 0 {
			continue
		}
		if inv.offering[d.Resource] += n; inv.offering[d.Resource] == 0 {
			delete(inv.offering, d.Resource)
		}
	}
}

// HasClass reports whether some node has devices of a DeviceClass. It takes the same time
// however many nodes there are: each review may ask.
func (inv *Inventory) HasClass(class string) bool {
	inv.mu.Lock()
	defer inv.mu.Unlock()
	return inv.offering[accel.ClassResource(class)] > 0
}
