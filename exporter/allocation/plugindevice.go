package allocation

import (
	"cmp"
	"maps"
	"slices"

	"heteroaccel.io/exporter/podresources"
	"heteroaccel.io/pkg/accel"
)

// pluginDevice is what a device plugin serves as one device: one slot, or
// several shares.
type pluginDevice struct {
	resource, name string
	kind           accel.Kind
	named          bool                           // the name is the device's, not the resource's
	slots          map[string]podresources.Holder // by plugin id; the zero Holder when nobody holds it
	allocatable    int                            // slots that the kubelet can allocate, held or not
	held           int                            // slots that containers hold
	found          int                            // index of the discovered device that the ids name, -1 for none
}

// pluginID is the plugin's name of the device.
func (p *pluginDevice) pluginID() string {
	if len(p.slots) == 1 {
		for id := range p.slots {
			return id
		}
	}
	if !p.named {
		return ""
	}
	return p.name
}

// holders are the containers that hold slots of the device, in order.
func (p *pluginDevice) holders() []accel.Holder {
	if p.held == 0 {
		return nil
	}
	counts := map[podresources.Holder]int{}
	for _, h := range p.slots {
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

// groupSlots groups the kubelet's slots of accelerators into devices, in the
// order of resource and name. Slots of one resource whose ids name the same
// discovered device, or parts of it, are one. Where a resource's name says no
// kind but the ids of some slots do, its other slots are of that kind too,
// except those that the kernel has as something else.
func groupSlots(kubelet podresources.Answer, index nameIndex, present map[string]bool) []*pluginDevice {
	devices := map[pluginKey]*pluginDevice{}
	kinds := kindsByIDs(kubelet, index)
	of := func(s podresources.Slot) *pluginDevice {
		kind, named := kindOf(s.Resource)
		if isMIG(s.DeviceID) {
			kind, named = "GPU", true
		}
		key := pluginKey{resource: s.Resource, found: -1}
		if i, ok := index.lookup(s.DeviceID, kind); ok {
			kind, named, key.found = index.found[i].Kind, true, i
		} else {
			if only, ok := kinds[s.Resource]; ok && !named && !present[deviceName(s.DeviceID)] {
				kind, named = only, true
			}
			key.name = s.Resource
			if named {
				key.name = deviceName(s.DeviceID)
			}
		}
		p := devices[key]
		if p == nil {
			p = &pluginDevice{resource: s.Resource, name: key.name, kind: kind, named: named, found: key.found, slots: map[string]podresources.Holder{}}
			devices[key] = p
		}
		return p
	}
	for s := range kubelet.Allocatable {
		if isMonitoring(s.Resource) {
			continue
		}
		p := of(s)
		p.slots[s.DeviceID] = podresources.Holder{}
		p.allocatable++
	}
	for s, holder := range kubelet.Held {
		if isMonitoring(s.Resource) {
			continue
		}
		p := of(s)
		p.slots[s.DeviceID] = holder
		p.held++
	}
	for _, p := range devices {
		if p.found >= 0 {
			p.name = p.commonName()
		}
	}
	return slices.SortedFunc(maps.Values(devices), func(x, y *pluginDevice) int {
		return cmp.Or(cmp.Compare(x.resource, y.resource), cmp.Compare(x.name, y.name), cmp.Compare(x.found, y.found))
	})
}

// pluginKey is what the slots of a device have in common: the resource, and the
// discovered device that their ids name, or else the name in the ids.
type pluginKey struct {
	resource, name string
	found          int
}

// commonName is the name in the ids of all slots, "" when they name different
// parts of a device.
func (p *pluginDevice) commonName() string {
	common := ""
	for id := range p.slots {
		name := deviceName(id)
		if common != "" && name != common {
			return ""
		}
		common = name
	}
	return common
}

// join adds the slots of another device of the same resource.
func (p *pluginDevice) join(o *pluginDevice) {
	maps.Copy(p.slots, o.slots)
	p.allocatable += o.allocatable
	p.held += o.held
	p.name = ""
}

// kindsByIDs returns the kinds of resources whose names say none, where some of
// their ids name discovered devices, all of one kind.
func kindsByIDs(kubelet podresources.Answer, index nameIndex) map[string]accel.Kind {
	out := map[string]accel.Kind{}
	mixed := map[string]bool{}
	look := func(s podresources.Slot) {
		kind, known := kindOf(s.Resource)
		if known {
			return
		}
		if i, ok := index.lookup(s.DeviceID, kind); ok {
			found := index.found[i].Kind
			if other, seen := out[s.Resource]; seen && other != found {
				mixed[s.Resource] = true
			}
			out[s.Resource] = found
		}
	}
	for s := range kubelet.Allocatable {
		look(s)
	}
	for s := range kubelet.Held {
		look(s)
	}
	for resource := range mixed {
		delete(out, resource)
	}
	return out
}
