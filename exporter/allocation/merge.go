// Package allocation joins the devices that the kernel has with what the kubelet
// allocates.
//
// Discovered devices, the kubelet's answer and the commands that use device
// files enter; the node's accelerators leave. It does no I/O.
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
	// that is missing from Devices gone.
	Complete bool
	// Present are all names that the kernel has of the kinds that plugins use
	// most, accelerator or not: PCI addresses, cards, render nodes, accel
	// devices. It is nil when they could not be read.
	Present map[string]bool
	// Driven are the devices that this exporter serves, as DRA driver.
	Driven map[accel.DeviceKey]Driven
}

// Driven is how the exporter itself serves a device.
type Driven struct {
	// Name is driver/pool/device.
	Name string
	// Slots is how many claims may share it.
	Slots int
}

// Merge returns the node's accelerators in the order of kind, then id.
//
// kubelet is nil when it could not be asked: then every allocation is unknown,
// health is what the kernel says, and the resource is the usual one of the
// device's driver. used maps device files to the command of a process outside
// Kubernetes that has them open.
//
// The kubelet's list is the authority on what can be allocated. A device that
// it does not list is unhealthy. A device that only it knows is reported under
// the plugin's name, so that nothing it serves is invisible; it is unhealthy if
// that name is one of the kernel's and the kernel no longer has it: the driver
// was unbound, and the plugin has not noticed. Its health is unknown where some
// device of its kind does not work and nothing says which one.
//
// Everything that one resource serves of a device, the whole, shares or parts,
// are slots of the device. A device that is served under several resources, as
// a card that is divided into parts of several sizes, is reported once for each
// of them; all are as healthy as the card.
//
// Of what DRA drivers serve, the kubelet lists only what containers hold. Such
// a device is allocated as often as containers hold it; of a driven one the slots
// are known too. If a device plugin serves it too, it is unhealthy, so that nobody
// is given it twice.
func Merge(machine Machine, kubelet *podresources.Answer, used map[string]string) []accel.Device {
	found := machine.Devices
	out := make([]accel.Device, 0, len(found))
	if kubelet == nil {
		for _, f := range found {
			own, driven := machine.Driven[f.Key()]
			if f.OnlyIfServed && !driven {
				continue
			}
			d := describe(f, used)
			d.kernelHealth(f, false)
			d.Resource, d.Allocated = f.Resource, -1
			if driven {
				d.Resource, d.PluginID, d.Slots = "", own.Name, own.Slots
			}
			out = append(out, d.Device)
		}
		return uniqueIDs(out)
	}

	index := newNameIndex(machine.named())
	m := match(machine, index, groupSlots(*kubelet, index, machine.Present), groupClaims(kubelet.Claims))
	for i, f := range found {
		own := machine.Driven[f.Key()]
		out = append(out, discovered(f, m.offers[i], own, m.unmatchedKinds[f.Kind], used)...)
	}
	for _, p := range m.unmatched {
		d := device{accel.Device{Kind: p.kind, ID: p.name, Health: accel.Healthy}}
		d.serve(p)
		d.unmatchedHealth(machine, index, m, p)
		out = append(out, d.Device)
	}
	for _, c := range m.unmatchedClaims {
		out = append(out, onlyClaimed(c))
	}
	return uniqueIDs(out)
}

// device is one that is being put together.
type device struct{ accel.Device }

// describe returns a discovered device without its health and how it is served.
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

// discovered returns a discovered device once for each resource that it is
// served under; nothing for one that is an accelerator only if it is served. own
// is zero unless the exporter serves it. unmatched is set when something of its
// kind is served and unmatched: that may be this device.
func discovered(f discovery.Device, o offers, own Driven, unmatched bool, used map[string]string) []accel.Device {
	d := describe(f, used)
	d.kernelHealth(f, len(o.plugins) > 0 || o.dra != nil)
	if len(o.plugins) > 0 {
		out := make([]accel.Device, len(o.plugins))
		for i, p := range o.plugins {
			one := d
			one.serve(p)
			if o.dra != nil {
				one.claim(o.dra, i == 0)
			}
			out[i] = one.Device
		}
		return out
	}
	switch {
	case o.dra != nil:
		d.Holders, d.Allocated = o.dra.holders()
		// Containers that have a claim in common hold a slot each.
		d.PluginID, d.Slots = o.dra.name(), max(d.Allocated, own.Slots)
	case own.Name != "":
		d.PluginID, d.Slots = own.Name, own.Slots
	case f.OnlyIfServed:
		return nil
	case unmatched:
		d.Allocated = -1
	default:
		d.Resource = f.Resource
		d.unhealthy(notServed)
	}
	return []accel.Device{d.Device}
}

// serve adds how a device plugin serves the device.
func (d *device) serve(p *pluginDevice) {
	d.Resource, d.PluginID = p.resource, p.pluginID()
	if p.allocatable == 0 {
		d.unhealthy(notAllocatable)
	}
	d.Slots, d.Allocated, d.Holders = len(p.slots), p.held, p.holders()
}

// claim adds to a device of a device plugin what containers hold of it through a
// DRA driver, and counts it if count is set.
func (d *device) claim(c *draDevice, count bool) {
	d.unhealthy(servedTwice)
	if !count {
		return
	}
	holders, held := c.holders()
	d.Slots += held
	d.Allocated += held
	d.Holders = append(d.Holders, holders...)
	slices.SortFunc(d.Holders, accel.CompareHolders)
}

// onlyClaimed is a device that only a DRA driver knows.
func onlyClaimed(c *draDevice) accel.Device {
	holders, held := c.holders()
	return accel.Device{
		Kind: c.kind, ID: c.name(), PluginID: c.name(),
		Health: accel.Healthy, Slots: held, Allocated: held, Holders: holders,
	}
}

// uniqueIDs sorts devices, and prefixes an id that is taken within its kind with
// the device's resource.
func uniqueIDs(devices []accel.Device) []accel.Device {
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
