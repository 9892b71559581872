// Package allocation joins what the kernel sees with what the kubelet hands
// out.
//
// Devices found on the machine, the kubelet's answer and the commands that use
// device files enter; the node's accelerators leave. It does no I/O.
package allocation

import (
	"cmp"
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
//
// Of what DRA drivers serve, the kubelet lists only what containers hold. Such
// a device is allocated, as often as containers hold it; and when a device
// plugin serves it too, it is unhealthy, so that nobody is given it twice.
func Merge(machine Machine, kubelet *podresources.Answer, used map[string]string) []accel.Device {
	found := machine.Devices
	out := make([]accel.Device, 0, len(found))
	if kubelet == nil {
		for _, f := range found {
			d := describe(f, used)
			d.Resource, d.Allocated = f.Resource, -1
			out = append(out, d)
		}
		return distinct(out)
	}

	served := match(found, gather(*kubelet), gatherClaims(kubelet.Claims))
	for i, f := range found {
		out = append(out, onMachine(f, served.devices[i], served.strangers[f.Kind], used))
	}
	names := namesOf(found)
	for _, u := range served.unknown {
		d := fromKubelet(u)
		if machine.Complete && kernelName.MatchString(u.name) && !names[u.name] {
			unhealthy(&d, lost)
		}
		out = append(out, d)
	}
	for _, c := range served.unknownClaims {
		out = append(out, fromClaims(c))
	}
	return distinct(out)
}

// describe is a found device without what the kubelet says of it.
func describe(f discovery.Device, used map[string]string) accel.Device {
	d := accel.Device{
		Kind: f.Kind, ID: f.ID,
		Vendor: f.Vendor, Model: f.Model, Driver: f.Driver, NUMA: f.NUMA,
		Health: accel.Healthy, Slots: 1,
	}
	if f.Fault != "" {
		unhealthy(&d, f.Fault)
	}
	for _, file := range f.Files {
		if command := used[file]; command != "" {
			d.Outside = command
			break
		}
	}
	return d
}

// onMachine is a found device with what the kubelet serves it as. strangers
// tells that the kubelet serves devices of this kind that could not be told
// apart: this may be one of them.
func onMachine(f discovery.Device, s serving, strangers bool, used map[string]string) accel.Device {
	d := describe(f, used)
	switch {
	case s.unit != nil:
		d.Resource, d.PluginID = s.unit.resource, s.unit.pluginID()
		if s.unit.allocatable == 0 {
			unhealthy(&d, withdrawn)
		}
		d.Slots, d.Allocated, d.Holders = len(s.unit.slots), s.unit.held, s.unit.holders()
	case s.claimed == nil && strangers:
		d.Allocated = -1
	case s.claimed == nil:
		d.Resource = f.Resource
		unhealthy(&d, unserved)
	}
	if s.claimed == nil {
		return d
	}
	holders, held := s.claimed.holders()
	if s.unit == nil {
		d.PluginID = s.claimed.name()
		d.Slots, d.Allocated, d.Holders = held, held, holders
		return d
	}
	unhealthy(&d, twice)
	d.Slots += held
	d.Allocated += held
	d.Holders = append(d.Holders, holders...)
	sortHolders(d.Holders)
	return d
}

// Why a device that the kernel finds no fault with is unhealthy.
const (
	withdrawn = "the kubelet does not offer it: its device plugin calls it unhealthy, or is gone"
	unserved  = "no device plugin and no DRA driver offers it"
	twice     = "both a device plugin and a DRA driver offer it"
	lost      = "the kernel has no such device any more"
)

// unhealthy says why a device is; the first reason stands.
func unhealthy(d *accel.Device, reason string) {
	if d.Health != accel.Unhealthy {
		d.Health, d.Reason = accel.Unhealthy, reason
	}
}

// kernelName matches what the kernel calls a GPU or NPU that has its driver.
var kernelName = regexp.MustCompile(`^(card|accel|renderD)[0-9]+$`)

// namesOf are all the names that the kernel's devices go by.
func namesOf(found []discovery.Device) map[string]bool {
	out := make(map[string]bool, 6*len(found))
	for _, f := range found {
		for _, name := range f.Names {
			out[name] = true
		}
	}
	return out
}

// fromKubelet is a device that only a device plugin knows.
func fromKubelet(u *unit) accel.Device {
	d := accel.Device{
		Kind: u.kind, ID: u.name, Resource: u.resource, PluginID: u.pluginID(),
		Health: accel.Healthy,
		Slots:  len(u.slots), Allocated: u.held, Holders: u.holders(),
	}
	if u.allocatable == 0 {
		unhealthy(&d, withdrawn)
	}
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
	type key struct {
		kind accel.Kind
		id   string
	}
	taken := make(map[key]bool, len(devices))
	for i := range devices {
		d := &devices[i]
		for taken[key{d.Kind, d.ID}] {
			d.ID = d.Resource + "/" + d.ID
		}
		taken[key{d.Kind, d.ID}] = true
	}
	slices.SortFunc(devices, func(x, y accel.Device) int {
		return cmp.Or(cmp.Compare(x.Kind, y.Kind), cmp.Compare(x.ID, y.ID))
	})
	return devices
}
