package allocation

import (
	"cmp"
	"maps"
	"slices"

	"heteroaccel.io/exporter/podresources"
	"heteroaccel.io/pkg/accel"
)

// unit is what a device plugin serves as one device: one slot, or several
// shares.
type unit struct {
	resource, name string
	kind           accel.Kind
	apart          bool                           // whether the name is a device's, not the resource's
	slots          map[string]podresources.Holder // by plugin id; zero when nobody holds it
	allocatable    int                            // slots that may be handed out, held or not
	held           int                            // slots that containers hold
	found          int                            // index of the device that the ids name, -1 for none
}

// pluginID is what the plugin calls the device.
func (u *unit) pluginID() string {
	if len(u.slots) == 1 {
		for id := range u.slots {
			return id
		}
	}
	if !u.apart {
		return ""
	}
	return u.name
}

// holders are the containers that hold slots of the unit, in order.
func (u *unit) holders() []accel.Holder {
	if u.held == 0 {
		return nil
	}
	counts := map[podresources.Holder]int{}
	for _, h := range u.slots {
		if h != (podresources.Holder{}) {
			counts[h]++
		}
	}
	out := make([]accel.Holder, 0, len(counts))
	for h, n := range counts {
		out = append(out, accel.Holder{Namespace: h.Namespace, Pod: h.Pod, Container: h.Container, Slots: n})
	}
	slices.SortFunc(out, accel.CompareHolders)
	return out
}

// gather groups the kubelet's slots of accelerators into units, in the order
// of resource and name. Slots of one resource whose ids name the same device
// of the machine, or parts of it, are one unit. Where a resource's name says no
// kind but some of its ids do, the others are devices of that kind as well, but
// for those that the kernel has as something else.
func gather(kubelet podresources.Answer, known names, present map[string]bool) []*unit {
	units := map[unitKey]*unit{}
	kinds := kindsByIDs(kubelet, known)
	of := func(s podresources.Slot) *unit {
		kind, apart := kindOf(s.Resource)
		if isPart(s.DeviceID) {
			kind, apart = "GPU", true
		}
		key := unitKey{resource: s.Resource, found: -1}
		if i, ok := known.meant(s.DeviceID, kind); ok {
			kind, apart, key.found = known.found[i].Kind, true, i
		} else {
			if only, ok := kinds[s.Resource]; ok && !apart && !present[plain(s.DeviceID)] {
				kind, apart = only, true
			}
			key.name = s.Resource
			if apart {
				key.name = plain(s.DeviceID)
			}
		}
		u := units[key]
		if u == nil {
			u = &unit{resource: s.Resource, name: key.name, kind: kind, apart: apart, found: key.found, slots: map[string]podresources.Holder{}}
			units[key] = u
		}
		return u
	}
	for s := range kubelet.Allocatable {
		if monitoring(s.Resource) {
			continue
		}
		u := of(s)
		u.slots[s.DeviceID] = podresources.Holder{}
		u.allocatable++
	}
	for s, holder := range kubelet.Held {
		if monitoring(s.Resource) {
			continue
		}
		u := of(s)
		u.slots[s.DeviceID] = holder
		u.held++
	}
	for _, u := range units {
		if u.found >= 0 {
			u.name = u.commonName()
		}
	}
	return slices.SortedFunc(maps.Values(units), func(x, y *unit) int {
		return cmp.Or(cmp.Compare(x.resource, y.resource), cmp.Compare(x.name, y.name), cmp.Compare(x.found, y.found))
	})
}

// unitKey is what the slots of a unit have in common: the resource, and the
// device of the machine that their ids name, or else the name in them.
type unitKey struct {
	resource, name string
	found          int
}

// commonName is what the ids of a unit's slots all name, "" when they name
// different parts of a device.
func (u *unit) commonName() string {
	common := ""
	for id := range u.slots {
		name := plain(id)
		if common != "" && name != common {
			return ""
		}
		common = name
	}
	return common
}

// join takes over the slots of another unit of the same resource.
func (u *unit) join(o *unit) {
	maps.Copy(u.slots, o.slots)
	u.allocatable += o.allocatable
	u.held += o.held
	u.name = ""
}

// kindsByIDs are the kinds of resources of which some ids name devices of the
// machine, all of one kind.
func kindsByIDs(kubelet podresources.Answer, known names) map[string]accel.Kind {
	out := map[string]accel.Kind{}
	mixed := map[string]bool{}
	see := func(s podresources.Slot) {
		kind, apart := kindOf(s.Resource)
		if apart {
			return
		}
		if i, ok := known.meant(s.DeviceID, kind); ok {
			found := known.found[i].Kind
			if have, seen := out[s.Resource]; seen && have != found {
				mixed[s.Resource] = true
			}
			out[s.Resource] = found
		}
	}
	for s := range kubelet.Allocatable {
		see(s)
	}
	for s := range kubelet.Held {
		see(s)
	}
	for resource := range mixed {
		delete(out, resource)
	}
	return out
}
