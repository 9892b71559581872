package dra

import (
	resourcev1 "k8s.io/api/resource/v1"
	"k8s.io/apimachinery/pkg/types"

	"heteroaccel.io/pkg/inventory"
	"heteroaccel.io/pkg/resources"
)

// changes are the nodes and claims whose numbers may have changed.
type changes struct {
	nodes  map[string]struct{}
	claims map[types.NamespacedName]struct{}
}

func newChanges() *changes {
	return &changes{map[string]struct{}{}, map[types.NamespacedName]struct{}{}}
}

// device notes that a device changed, came or went.
func (c *changes) device(s *Store, d *device) {
	c.nodes[d.node] = struct{}{}
	for name := range s.users[d.id] {
		c.claims[name] = struct{}{}
	}
}

// SetClaim takes a new or changed ResourceClaim.
func (s *Store) SetClaim(in *resourcev1.ResourceClaim) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.replaceClaim(types.NamespacedName{Namespace: in.Namespace, Name: in.Name}, claimOf(in))
}

// DeleteClaim removes a ResourceClaim.
func (s *Store) DeleteClaim(namespace, name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.replaceClaim(types.NamespacedName{Namespace: namespace, Name: name}, nil)
}

func (s *Store) replaceClaim(name types.NamespacedName, next *claim) {
	old := s.claims[name]
	if old == nil && next == nil {
		return
	}
	c := newChanges()
	c.claims[name] = struct{}{}
	if old != nil {
		for _, r := range old.results {
			delete(s.users[r.id], name)
			if len(s.users[r.id]) == 0 {
				delete(s.users, r.id)
			}
			s.noteNode(c, r.id)
		}
		delete(s.claims, name)
		if next != nil {
			next.told = old.told
		}
	}
	if next == nil {
		// What was held of a tainted device is blocked before it is not held any more.
		s.tellSlots(c)
		s.inv.DeleteAllocation(name.Namespace, name.Name)
		return
	}
	s.claims[name] = next
	for _, r := range next.results {
		if s.users[r.id] == nil {
			s.users[r.id] = map[types.NamespacedName]int64{}
		}
		s.users[r.id][name] = 0
		s.noteNode(c, r.id)
	}
	s.tell(c)
}

func (s *Store) noteNode(c *changes, of id) {
	if d := s.device(of); d != nil {
		c.nodes[d.node] = struct{}{}
	}
}

// device is a device as it is now, nil where it is not known.
func (s *Store) device(of id) *device {
	if p := s.pools[poolID{of.driver, of.pool}]; p != nil {
		return p.devices[of.device]
	}
	return nil
}

// tell tells the inventory what changed: whatever makes less usable first, so that
// nothing looks free that is not.
func (s *Store) tell(c *changes) {
	var later []inventory.Allocation
	for name := range c.claims {
		a := s.allocation(name)
		told := s.claims[name].told
		s.claims[name].told = &a
		if told != nil && told.Node == a.Node && less(a.Holds, told.Holds) {
			later = append(later, a)
			continue
		}
		s.inv.SetAllocation(a)
	}
	s.tellSlots(c)
	for _, a := range later {
		s.inv.SetAllocation(a)
	}
}

// less reports whether a has less of anything than b.
func less(a, b resources.Amounts) bool {
	for _, d := range b.Devices {
		if a.Device(d.Resource) < d.Count {
			return true
		}
	}
	return false
}

func (s *Store) tellSlots(c *changes) {
	for name := range c.nodes {
		n := s.nodes[name]
		if n == nil {
			continue
		}
		if slots := s.slotsOf(n); !same(slots, n.told) {
			n.told = slots
			s.inv.SetSlots(name, slots)
		}
		if len(n.devices) == 0 {
			delete(s.nodes, name)
		}
	}
}

func same(a, b inventory.Slots) bool {
	return a.Capacity.Equal(b.Capacity) && a.Allocatable.Equal(b.Allocatable) && a.Blocked.Equal(b.Blocked)
}

// allocation is what a claim takes, and notes it of its devices.
func (s *Store) allocation(name types.NamespacedName) inventory.Allocation {
	c := s.claims[name]
	a := inventory.Allocation{Namespace: name.Namespace, Name: name.Name, Pod: c.pod, UID: c.uid, ForExtended: c.forExtended}
	holds, taken := counts{}, map[id]int64{}
	for _, r := range c.results {
		a.Devices = append(a.Devices, r.String())
		d := s.device(r.id)
		if d == nil {
			continue
		}
		n := int64(1)
		if len(r.consumed) > 0 {
			n = Taken(d.decode(), r.consumed)
		}
		a.Node = d.node
		taken[r.id] += n
		holds.add(d.classes, n)
	}
	for _, r := range c.results {
		s.users[r.id][name] = taken[r.id]
	}
	a.Holds = holds.amounts()
	return a
}

// slotsOf counts the slots of a node.
func (s *Store) slotsOf(n *node) inventory.Slots {
	capacity, allocatable, blocked := counts{}, counts{}, counts{}
	for _, d := range n.devices {
		capacity.add(d.classes, d.slots)
		if !s.tainted(d) {
			allocatable.add(d.classes, d.slots)
			continue
		}
		free := d.slots
		for _, taken := range s.users[d.id] {
			free -= taken
		}
		blocked.add(d.classes, max(0, free))
	}
	return inventory.Slots{Capacity: capacity.amounts(), Allocatable: allocatable.amounts(), Blocked: blocked.amounts()}
}

func (s *Store) tainted(d *device) bool {
	if d.tainted {
		return true
	}
	for _, r := range s.rules {
		if r.selects(d.id) {
			return true
		}
	}
	return false
}

// counts are slots by resource.
type counts map[string]int64

// add counts n more of each of the resources, bounded.
func (c counts) add(of []string, n int64) {
	for _, resource := range of {
		c[resource] = resources.Bounded(c[resource] + n)
	}
}

func (c counts) amounts() resources.Amounts {
	var r resources.Amounts
	for resource, n := range c {
		if n > 0 {
			r = r.With(resource, n)
		}
	}
	return r
}
