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
	sortHolders(out)
	return out
}

func sortHolders(holders []accel.Holder) {
	slices.SortFunc(holders, func(x, y accel.Holder) int {
		return cmp.Or(cmp.Compare(x.Namespace, y.Namespace), cmp.Compare(x.Pod, y.Pod),
			cmp.Compare(x.Container, y.Container), cmp.Compare(x.Claim, y.Claim))
	})
}

// gather groups the kubelet's slots of accelerators into units, in the order
// of resource and name.
func gather(kubelet podresources.Answer) []*unit {
	units := map[podresources.Slot]*unit{}
	of := func(s podresources.Slot) *unit {
		kind, apart := kindOf(s.Resource)
		name := s.Resource
		if apart {
			name = unshared(s.DeviceID)
		}
		key := podresources.Slot{Resource: s.Resource, DeviceID: name}
		u := units[key]
		if u == nil {
			u = &unit{resource: s.Resource, name: name, kind: kind, apart: apart, slots: map[string]podresources.Holder{}}
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
	return slices.SortedFunc(maps.Values(units), func(x, y *unit) int {
		return cmp.Or(cmp.Compare(x.resource, y.resource), cmp.Compare(x.name, y.name))
	})
}
