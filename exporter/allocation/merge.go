// Package allocation joins what the kernel sees with what the kubelet hands
// out.
//
// Devices found on the machine, the kubelet's answer and the commands that use
// device files enter; the node's accelerators leave. It does no I/O.
package allocation

import (
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
	// Present are all that the kernel has by the names that plugins use most,
	// accelerator or not: PCI addresses, cards, render nodes, accel devices. It
	// is nil when that could not be read.
	Present map[string]bool
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
// its driver let go of it, and the plugin has not noticed. Whether it works is
// unknown where the kernel has devices of its kind that do not, and nobody
// tells which they are.
//
// What a resource serves of a device, the whole, shares or parts, are slots of
// the device. One that is served under several resources, as a card that is
// divided into parts of several sizes, is reported once for each of them, and
// all are as healthy as the card.
//
// Of what DRA drivers serve, the kubelet lists only what containers hold. Such
// a device is allocated, as often as containers hold it; and when a device
// plugin serves it too, it is unhealthy, so that nobody is given it twice.
func Merge(machine Machine, kubelet *podresources.Answer, used map[string]string) []accel.Device {
	found := machine.Devices
	out := make([]accel.Device, 0, len(found))
	if kubelet == nil {
		for _, f := range found {
			if f.Optional {
				continue
			}
			d := describe(f, used)
			d.judge(f, false)
			d.Resource, d.Allocated = f.Resource, -1
			out = append(out, d.Device)
		}
		return distinct(out)
	}

	known := namesOf(found)
	served := match(machine, known, gather(*kubelet, known, machine.Present), gatherClaims(kubelet.Claims))
	for i, f := range found {
		out = append(out, onMachine(f, served.devices[i], served.strangers[f.Kind], used)...)
	}
	for _, u := range served.unknown {
		d := fromKubelet(u)
		switch {
		case machine.gone(known, u):
			d.fault(lost)
		case served.doubtful[u.kind]:
			d.doubt("one of the node's devices of this kind does not work, and which it is cannot be told")
		}
		out = append(out, d.Device)
	}
	for _, c := range served.unknownClaims {
		out = append(out, fromClaims(c))
	}
	return distinct(out)
}

// device is one that is being put together.
type device struct{ accel.Device }

// describe is a found device without what anybody says of its health or who
// serves it.
func describe(f discovery.Device, used map[string]string) device {
	d := device{accel.Device{
		Kind: f.Kind, ID: f.ID,
		Vendor: f.Vendor, Model: f.Model, Driver: f.Driver, NUMA: f.NUMA,
		Health: accel.Healthy, Slots: 1,
	}}
	for _, file := range f.Files {
		if command := used[file]; command != "" {
			d.ExternalUse = command
			break
		}
	}
	return d
}

// onMachine is a found device with what the kubelet serves it as, once for each
// resource; none for one that is an accelerator only if it is served. strangers
// tells that the kubelet serves devices of this kind that could not be told
// apart: this may be one of them.
func onMachine(f discovery.Device, s serving, strangers bool, used map[string]string) []accel.Device {
	d := describe(f, used)
	d.judge(f, len(s.units) > 0 || s.claimed != nil)
	if len(s.units) > 0 {
		out := make([]accel.Device, len(s.units))
		for i, u := range s.units {
			one := d
			one.serve(u)
			if s.claimed != nil {
				one.claim(s.claimed, i == 0)
			}
			out[i] = one.Device
		}
		return out
	}
	switch {
	case s.claimed != nil:
		d.Holders, d.Allocated = s.claimed.holders()
		d.PluginID, d.Slots = s.claimed.name(), d.Allocated
	case f.Optional:
		return nil
	case strangers:
		d.Allocated = -1
	default:
		d.Resource = f.Resource
		d.fault(unserved)
	}
	return []accel.Device{d.Device}
}

// serve adds what a device plugin serves the device as.
func (d *device) serve(u *unit) {
	d.Resource, d.PluginID = u.resource, u.pluginID()
	if u.allocatable == 0 {
		d.fault(withdrawn)
	}
	d.Slots, d.Allocated, d.Holders = len(u.slots), u.held, u.holders()
}

// claim adds to a device that a device plugin serves what containers hold of it
// through a DRA driver; count tells whether it is counted here.
func (d *device) claim(c *claimed, count bool) {
	d.fault(twice)
	if !count {
		return
	}
	holders, held := c.holders()
	d.Slots += held
	d.Allocated += held
	d.Holders = append(d.Holders, holders...)
	slices.SortFunc(d.Holders, accel.CompareHolders)
}

// fromKubelet is a device that only a device plugin knows.
func fromKubelet(u *unit) device {
	d := device{accel.Device{Kind: u.kind, ID: u.name, Health: accel.Healthy}}
	d.serve(u)
	return d
}

// fromClaims is a device that only a DRA driver knows.
func fromClaims(c *claimed) accel.Device {
	holders, held := c.holders()
	return accel.Device{
		Kind: c.kind, ID: c.name(), PluginID: c.name(),
		Health: accel.Healthy, Slots: held, Allocated: held, Holders: holders,
	}
}

// distinct puts devices in order, and gives one whose id another of its kind
// has already the resource it is served as before it.
func distinct(devices []accel.Device) []accel.Device {
	taken := make(map[accel.DeviceKey]bool, len(devices))
	for i := range devices {
		d := &devices[i]
		for taken[d.Key()] {
			d.ID = d.Resource + "/" + d.ID
		}
		taken[d.Key()] = true
	}
	slices.SortFunc(devices, accel.CompareDevices)
	return devices
}
