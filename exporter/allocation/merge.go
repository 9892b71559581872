// Package allocation joins what the kernel sees with what the kubelet hands
// out.
//
// Devices found on the machine, the kubelet's answer and the commands that use
// device files enter; the node's accelerators leave. It does no I/O.
package allocation

import (
	"cmp"
	"maps"
	"regexp"
	"slices"

	"heteroaccel.io/exporter/discovery"
	"heteroaccel.io/exporter/podresources"
	"heteroaccel.io/pkg/accel"
)

// Machine is what the kernel shows.
type Machine struct {
	Devices []discovery.Device
	// Complete is set when everything could be read: only then is a device
	// that is not among Devices known to be gone.
	Complete bool
}

// Merge returns the node's accelerators in the order of kind, then id.
//
// kubelet is nil when it could not be asked: then every allocation is unknown,
// health is the kernel's word alone, and the resource is the one that the
// device's driver is served as by rule. used maps device files to the command
// of a process outside Kubernetes that holds them.
//
// The kubelet's list is the authority on what may be handed out: a device that
// it does not list is unhealthy, and one that only it knows is reported under
// the plugin's name, so that nothing it serves is invisible. It is unhealthy
// if that name is the kernel's own and the kernel has no such device any more:
// its driver let go of it, and the plugin has not noticed.
func Merge(machine Machine, kubelet *podresources.Answer, used map[string]string) []accel.Device {
	found := machine.Devices
	var out []accel.Device
	if kubelet == nil {
		for _, f := range found {
			d := describe(f, used)
			d.Resource, d.Allocated = f.Resource, -1
			out = append(out, d)
		}
		sortDevices(out)
		return out
	}

	served := match(found, gather(*kubelet))
	for i, f := range found {
		out = append(out, onMachine(f, served.by[i], served.strangers[f.Kind], used))
	}
	taken := map[string]bool{}
	for _, d := range out {
		taken[string(d.Kind)+d.ID] = true
	}
	for _, u := range served.unknown {
		d := fromKubelet(u)
		d.Healthy = d.Healthy && !machine.lost(u.name)
		if key := string(d.Kind) + d.ID; taken[key] {
			d.ID = u.resource + "/" + d.ID
		}
		taken[string(d.Kind)+d.ID] = true
		out = append(out, d)
	}
	sortDevices(out)
	return out
}

// describe is a found device without what the kubelet says of it.
func describe(f discovery.Device, used map[string]string) accel.Device {
	d := accel.Device{
		Kind: f.Kind, ID: f.ID,
		Vendor: f.Vendor, Model: f.Model, Driver: f.Driver,
		Healthy: f.Usable, Slots: 1,
	}
	for _, file := range f.Files {
		if command := used[file]; command != "" {
			d.Outside = command
			break
		}
	}
	return d
}

// onMachine is a found device with the unit the kubelet serves it as, nil when
// it serves none. strangers tells that the kubelet serves devices of this kind
// that could not be told apart: this may be one of them.
func onMachine(f discovery.Device, u *unit, strangers bool, used map[string]string) accel.Device {
	d := describe(f, used)
	switch {
	case u != nil:
		d.Resource = u.resource
		d.Healthy = d.Healthy && u.allocatable > 0
		d.Slots, d.Allocated, d.Holders = len(u.slots), u.held, u.holders()
	case strangers:
		d.Allocated = -1
	default:
		d.Resource, d.Healthy = f.Resource, false
	}
	return d
}

// lost reports whether name is what the kernel calls a device, and it has none
// of that name.
func (m Machine) lost(name string) bool {
	return m.Complete && kernelName.MatchString(name) && !slices.ContainsFunc(m.Devices, func(d discovery.Device) bool {
		return slices.Contains(d.Names, name)
	})
}

// kernelName matches what the kernel calls a GPU or NPU that has its driver.
var kernelName = regexp.MustCompile(`^(card|accel|renderD)[0-9]+$`)

// fromKubelet is a device that only the kubelet knows.
func fromKubelet(u *unit) accel.Device {
	return accel.Device{
		Kind: u.kind, ID: u.name, Resource: u.resource,
		Healthy: u.allocatable > 0,
		Slots:   len(u.slots), Allocated: u.held, Holders: u.holders(),
	}
}

func sortDevices(devices []accel.Device) {
	slices.SortFunc(devices, func(x, y accel.Device) int {
		return cmp.Or(cmp.Compare(x.Kind, y.Kind), cmp.Compare(x.ID, y.ID))
	})
}

// unit is what the kubelet serves as one device: one slot, or several shares.
type unit struct {
	resource, name string
	kind           accel.Kind
	slots          map[string]podresources.Holder // by plugin id; zero when nobody holds it
	allocatable    int                            // slots that may be handed out, held or not
	held           int                            // slots that containers hold
}

// holders are the containers that hold slots of the unit, in order.
func (u *unit) holders() []accel.Holder {
	counts := map[podresources.Holder]int{}
	for _, h := range u.slots {
		if h != (podresources.Holder{}) {
			counts[h]++
		}
	}
	var out []accel.Holder
	for h, n := range counts {
		out = append(out, accel.Holder{Namespace: h.Namespace, Pod: h.Pod, Container: h.Container, Slots: n})
	}
	slices.SortFunc(out, func(x, y accel.Holder) int {
		return cmp.Or(cmp.Compare(x.Namespace, y.Namespace), cmp.Compare(x.Pod, y.Pod), cmp.Compare(x.Container, y.Container))
	})
	return out
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
			u = &unit{resource: s.Resource, name: name, kind: kind, slots: map[string]podresources.Holder{}}
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
