package allocation

import (
	"slices"

	"heteroaccel.io/exporter/discovery"
	"heteroaccel.io/pkg/accel"
)

// sole pairs what has a name that says nothing with the only device it can be:
// the only one left that is served under its resource by rule, else the only
// one left of its kind, when nothing else without a name competes for it.
type sole struct {
	byRule map[rule]one       // found devices that are served so by rule
	byKind map[accel.Kind]one // found devices
	served map[string]int     // how many nameless units have a resource
	kinds  map[accel.Kind]int // how many nameless units and claims are of a kind
}

// rule is a kind, and the resource it is served as.
type rule struct {
	kind     accel.Kind
	resource string
}

// one is a device, its index, and how many could stand for it.
type one struct {
	device *discovery.Device
	index  int
	count  int
}

// soleOf counts what is left to pair: devices that neither is served as yet, and
// units and claims without a name.
func soleOf(found []discovery.Device, devices []serving, nameless []*unit, claims []*claimed) sole {
	s := sole{map[rule]one{}, map[accel.Kind]one{}, map[string]int{}, map[accel.Kind]int{}}
	for i := range found {
		if f := &found[i]; len(devices[i].units) == 0 {
			by := rule{f.Kind, f.Resource}
			s.byRule[by] = one{f, i, s.byRule[by].count + 1}
			s.byKind[f.Kind] = one{f, i, s.byKind[f.Kind].count + 1}
		}
	}
	for _, u := range nameless {
		s.served[u.resource]++
		s.kinds[u.kind]++
	}
	for _, c := range claims {
		s.kinds[c.kind]++
	}
	return s
}

// unit returns the only device that a unit can be.
func (s sole) unit(u *unit) (index int, ok bool) {
	if d := s.byRule[rule{u.kind, u.resource}]; d.count == 1 && s.served[u.resource] == 1 {
		return d.index, d.may(u.name)
	}
	return s.device(u.kind, u.resource, u.name)
}

// device returns the only device of a kind, for something of that name that a
// resource or a DRA driver serves: not one of another maker.
func (s sole) device(kind accel.Kind, by, name string) (index int, ok bool) {
	d := s.byKind[kind]
	return d.index, d.count == 1 && s.kinds[kind] == 1 && d.may(name) && !foreign(by, d.device.Vendor)
}

// may tells whether a device can be meant by a name that is none of its own. The
// kernel's name for a card that it has no more may mean one that has no such
// name now, since its driver let go of it, and never one that has another. A
// PCI address never means another device.
func (d one) may(name string) bool {
	if exact.MatchString(name) && !kernelName.MatchString(name) {
		return false
	}
	return !kernelName.MatchString(name) || !slices.ContainsFunc(d.device.Names, kernelName.MatchString)
}
