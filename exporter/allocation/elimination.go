package allocation

import (
	"slices"

	"heteroaccel.io/exporter/discovery"
	"heteroaccel.io/pkg/accel"
)

// elimination matches what has a name that says nothing with the only device
// that it can be: the only one left whose driver is usually served under its
// resource, else the only one left of its kind, if nothing else without a name
// competes for it.
type elimination struct {
	byResource map[resourceOfKind]candidate // discovered devices, by their usual resource
	byKind     map[accel.Kind]candidate     // discovered devices
	served     map[string]int               // how many unmatched plugin devices a resource has
	kinds      map[accel.Kind]int           // how many unmatched plugin devices and claims a kind has
}

// resourceOfKind is a kind, and the resource that it is usually served under.
type resourceOfKind struct {
	kind     accel.Kind
	resource string
}

// candidate is a discovered device, its index, and how many there are like it.
type candidate struct {
	device *discovery.Device
	index  int
	count  int
}

// newElimination counts the discovered devices that no device plugin serves, and
// what is served and unmatched.
func newElimination(found []discovery.Device, all []offers, served []*pluginDevice, claims []*draDevice) elimination {
	e := elimination{map[resourceOfKind]candidate{}, map[accel.Kind]candidate{}, map[string]int{}, map[accel.Kind]int{}}
	for i := range found {
		if f := &found[i]; len(all[i].plugins) == 0 {
			key := resourceOfKind{f.Kind, f.Resource}
			e.byResource[key] = candidate{f, i, e.byResource[key].count + 1}
			e.byKind[f.Kind] = candidate{f, i, e.byKind[f.Kind].count + 1}
		}
	}
	for _, p := range served {
		e.served[p.resource]++
		e.kinds[p.kind]++
	}
	for _, c := range claims {
		e.kinds[c.kind]++
	}
	return e
}

// plugin returns the only discovered device that a plugin's device can be.
func (e elimination) plugin(p *pluginDevice) (index int, ok bool) {
	if c := e.byResource[resourceOfKind{p.kind, p.resource}]; c.count == 1 && e.served[p.resource] == 1 {
		return c.index, c.canBe(p.name)
	}
	return e.device(p.kind, p.resource, p.name)
}

// device returns the only discovered device of a kind that a device can be which
// a resource or a DRA driver serves under a name: never one of another vendor.
func (e elimination) device(kind accel.Kind, servedBy, name string) (index int, ok bool) {
	c := e.byKind[kind]
	return c.index, c.count == 1 && e.kinds[kind] == 1 && c.canBe(name) && !otherVendor(servedBy, c.device.Vendor)
}

// canBe reports whether a name that is not one of the device's can mean it. The
// kernel's former name of a card can mean one that has no such name since its
// driver was unbound, but never one that has another. A PCI address never means
// another device.
func (c candidate) canBe(name string) bool {
	if uniqueName.MatchString(name) && !kernelName.MatchString(name) {
		return false
	}
	return !kernelName.MatchString(name) || !slices.ContainsFunc(c.device.Names, kernelName.MatchString)
}
