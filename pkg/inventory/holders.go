package inventory

import (
	"slices"

	"heteroaccel.io/pkg/accel"
	"heteroaccel.io/pkg/resources"
)

// withPod returns the node with p in place of old; either may be nil.
func (n *Node) withPod(old, p *Pod) *Node {
	heldSame := old != nil && p != nil && old.counts().Equal(p.counts())
	holder := old != nil && old.holdsAccelerator() || p != nil && p.holdsAccelerator()
	if heldSame && !holder {
		return n
	}
	m := *n
	if old != nil {
		m.Pods--
	}
	if p != nil {
		m.Pods++
	}
	if !heldSame {
		if old != nil {
			m.Held = m.Held.Plus(old.counts(), -1)
		}
		if p != nil {
			m.Held = m.Held.Plus(p.counts(), 1)
		}
	}
	if holder {
		m.Holders = make([]*Pod, 0, len(n.Holders)+1)
		for _, h := range n.Holders {
			if h != old {
				m.Holders = append(m.Holders, h)
			}
		}
		if p != nil && p.holdsAccelerator() {
			m.Holders = append(m.Holders, p)
		}
		m.updateBlocked()
	}
	return &m
}

// withReleasing returns the node with p in place of old among those that release devices;
// either may be nil.
func (n *Node) withReleasing(old, p *Pod) *Node {
	m := *n
	m.releasing = slices.DeleteFunc(slices.Clone(n.releasing), func(r *Pod) bool { return r == old })
	if p != nil {
		m.releasing = append(m.releasing, p)
	}
	return &m
}

// updateBlocked computes blocked on a record that nobody else has seen yet: the
// slots of devices that are not usable, less those that pods hold, which count as
// held. A slot of a holder in the telemetry that is gone since is blocked too.
func (n *Node) updateBlocked() {
	n.blocked = resources.Amounts{}
	if n.Telemetry == nil {
		return
	}
	for _, d := range n.Telemetry.Devices {
		if d.Usable() || d.Resource == "" {
			continue
		}
		blocked := d.Blocked()
		for _, h := range d.Holders {
			if !n.holds(h) {
				blocked += h.Slots
			}
		}
		if blocked = min(blocked, d.Slots); blocked > 0 {
			n.blocked = n.blocked.Plus(resources.Amounts{Devices: []resources.Devices{{Resource: d.Resource, Count: int64(blocked)}}}, 1)
		}
	}
}

func (n *Node) holds(h accel.Holder) bool {
	return slices.ContainsFunc(n.Holders, func(p *Pod) bool { return p.Name == h.Pod && p.Namespace == h.Namespace })
}
