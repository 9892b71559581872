package dra

import (
	"fmt"
	"slices"
	"sync"

	resourcev1 "k8s.io/api/resource/v1"
	"k8s.io/apimachinery/pkg/types"

	"heteroaccel.io/pkg/accel"
	"heteroaccel.io/pkg/inventory"
)

// Store is what is known of devices and claims, and tells an inventory. Feeds of
// different types call it from goroutines of their own. Use New.
type Store struct {
	inv    *inventory.Inventory
	report func(error)

	mu      sync.Mutex
	classes map[string]*class // by name
	rules   map[string]rule   // by name
	slices  map[string]*slice // by name
	pools   map[poolID]*pool
	nodes   map[string]*node
	claims  map[types.NamespacedName]*claim
	// users are the claims of a device, with how many slots each takes.
	users map[id]map[types.NamespacedName]int64
}

// pool are the slices of a pool, by name, and its devices as they are now.
type pool struct {
	slices  map[string]*slice
	devices map[string]*device
}

// node are the devices of a node, and what the inventory was told of it last.
type node struct {
	devices map[id]*device
	told    inventory.Slots
}

// New returns a store that knows nothing and tells inv. report is called once for each
// class that cannot be evaluated, until it changes, with an error for its author; it must
// not block.
func New(inv *inventory.Inventory, report func(error)) *Store {
	return &Store{
		inv: inv, report: report,
		classes: map[string]*class{}, rules: map[string]rule{}, slices: map[string]*slice{},
		pools: map[poolID]*pool{}, nodes: map[string]*node{},
		claims: map[types.NamespacedName]*claim{}, users: map[id]map[types.NamespacedName]int64{},
	}
}

// SetSlice takes a new or changed ResourceSlice.
func (s *Store) SetSlice(in *resourcev1.ResourceSlice) {
	s.mu.Lock()
	defer s.mu.Unlock()
	next, _ := sliceOf(in)
	s.replaceSlice(in.Name, next)
}

// DeleteSlice removes a ResourceSlice.
func (s *Store) DeleteSlice(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.replaceSlice(name, nil)
}

// replaceSlice replaces the slice of a name by next, nil for none. A device that is as
// it was, but for its taints, keeps its classes.
func (s *Store) replaceSlice(name string, next *slice) {
	old := s.slices[name]
	known := map[string]*device{}
	c := newChanges()
	if old != nil {
		for _, d := range old.devices {
			known[d.id.device] = d
		}
		delete(s.slices, name)
		delete(s.pools[old.pool].slices, name)
	}
	if next != nil {
		for _, d := range next.devices {
			if k := known[d.id.device]; k != nil && k.id == d.id && k.encoded == d.encoded {
				d.classes, d.encoded = k.classes, k.encoded
				continue
			}
			s.classify(d)
		}
		s.slices[name] = next
		p := s.pools[next.pool]
		if p == nil {
			p = &pool{slices: map[string]*slice{}}
			s.pools[next.pool] = p
		}
		p.slices[name] = next
	}
	if old != nil {
		s.updatePool(old.pool, c)
	}
	if next != nil && (old == nil || old.pool != next.pool) {
		s.updatePool(next.pool, c)
	}
	s.tell(c)
}

// updatePool reads a pool's devices from its slices again.
func (s *Store) updatePool(name poolID, c *changes) {
	p := s.pools[name]
	devices := current(p.slices)
	for key, d := range p.devices {
		if devices[key] != d {
			n := s.nodes[d.node]
			delete(n.devices, d.id)
			c.device(s, d)
		}
	}
	for key, d := range devices {
		if p.devices[key] != d {
			n := s.nodes[d.node]
			if n == nil {
				n = &node{devices: map[id]*device{}}
				s.nodes[d.node] = n
			}
			n.devices[d.id] = d
			c.device(s, d)
		}
	}
	if p.devices = devices; len(p.slices) == 0 {
		delete(s.pools, name)
	}
}

// classify finds the classes that select a device.
func (s *Store) classify(d *device) {
	decoded := d.decode()
	for _, c := range s.classes {
		if s.selects(c, d, decoded) {
			d.classes = with(d.classes, c.resource, true)
		}
	}
}

func (s *Store) selects(c *class, d *device, decoded *resourcev1.Device) bool {
	ok, err := c.selects(d.driver, decoded)
	if err != nil && !c.failed {
		c.failed = true
		s.reportClass(c, err)
	}
	return ok
}

// SetClass takes a new or changed DeviceClass.
func (s *Store) SetClass(in *resourcev1.DeviceClass) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if old := s.classes[in.Name]; old != nil && slices.Equal(old.expressions, expressions(in)) {
		return
	}
	next, err := compile(in)
	if err != nil {
		next.failed = true
		s.reportClass(next, err)
	}
	s.classes[in.Name] = next
	s.reclassify(next, true)
}

// DeleteClass removes a DeviceClass.
func (s *Store) DeleteClass(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if old := s.classes[name]; old != nil {
		delete(s.classes, name)
		s.reclassify(old, false)
	}
}

// reclassify finds the devices that a class selects, none of them once it is gone.
func (s *Store) reclassify(c *class, there bool) {
	changed := newChanges()
	for _, sl := range s.slices {
		for _, d := range sl.devices {
			selected := there && s.selects(c, d, d.decode())
			if _, was := slices.BinarySearch(d.classes, c.resource); selected != was {
				d.classes = with(d.classes, c.resource, selected)
				changed.device(s, d)
			}
		}
	}
	s.tell(changed)
}

func (s *Store) reportClass(c *class, err error) {
	name, _ := accel.ClassOf(c.resource)
	s.report(fmt.Errorf("DeviceClass %s: %w: devices for which that is so are not counted; correct it with kubectl edit deviceclass %s", name, err, name))
}

// SetTaintRule takes a new or changed DeviceTaintRule.
func (s *Store) SetTaintRule(in *resourcev1.DeviceTaintRule) {
	s.mu.Lock()
	defer s.mu.Unlock()
	next, ok := ruleOf(in)
	s.replaceRule(in.Name, next, ok)
}

// DeleteTaintRule removes a DeviceTaintRule.
func (s *Store) DeleteTaintRule(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.replaceRule(name, rule{}, false)
}

func (s *Store) replaceRule(name string, next rule, ok bool) {
	old, was := s.rules[name]
	delete(s.rules, name)
	if ok {
		s.rules[name] = next
	}
	c := newChanges()
	for node, n := range s.nodes {
		for _, d := range n.devices {
			if was && old.selects(d.id) || ok && next.selects(d.id) {
				c.nodes[node] = struct{}{}
			}
		}
	}
	s.tell(c)
}
