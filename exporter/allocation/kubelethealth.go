package allocation

import (
	"regexp"

	"heteroaccel.io/exporter/discovery"
	"heteroaccel.io/pkg/accel"
)

// Why a device is unhealthy although the kernel finds no fault with it.
const (
	notAllocatable = "the kubelet does not offer it: its device plugin calls it unhealthy, or is gone"
	notServed      = "no device plugin and no DRA driver offers it"
	servedTwice    = "both a device plugin and a DRA driver offer it"
	deviceGone     = "the kernel has no such device any more"
)

// unmatchedFault is why it is unknown whether a device works that could not be
// matched.
const unmatchedFault = "one of the node's devices of this kind does not work, and which one is unknown"

// unhealthy says why the device is unhealthy; the first reason stays.
func (d *device) unhealthy(reason string) {
	if d.Health != accel.Unhealthy {
		d.Health, d.Reason = accel.Unhealthy, reason
	}
}

// healthUnknown says why it is unknown whether the device works. It changes
// nothing when the device is already unhealthy.
func (d *device) healthUnknown(reason string) {
	if d.Health == accel.Healthy {
		d.Health, d.Reason = accel.HealthUnknown, reason
	}
}

// kernelHealth applies what the kernel says. A device that is set aside for
// virtual machines is healthy when something serves it: then it is served to
// those.
func (d *device) kernelHealth(f discovery.Device, served bool) {
	if f.Fault != "" && !(f.Passthrough && served) {
		d.unhealthy(f.Fault)
	}
	if f.Unknown != "" {
		d.healthUnknown(f.Unknown)
	}
}

// unmatchedHealth decides the health of a device that only a device plugin
// knows.
func (d *device) unmatchedHealth(machine Machine, index nameIndex, m matched, p *pluginDevice) {
	switch {
	case machine.lacks(index, p):
		d.unhealthy(deviceGone)
	case m.ambiguous[p.kind]:
		d.healthUnknown(unmatchedFault)
	}
}

// lacks reports whether a plugin's device has the kernel's name of a device that
// the kernel does not have, or no longer has.
func (m Machine) lacks(index nameIndex, p *pluginDevice) bool {
	if !uniqueName.MatchString(p.name) || len(index.byName[p.name]) > 0 || m.Present[p.name] {
		return false
	}
	if kernelName.MatchString(p.name) {
		return m.Complete
	}
	return p.named && m.Present != nil
}

// kernelName matches the kernel's name of a GPU or NPU with a driver.
var kernelName = regexp.MustCompile(`^(card|accel|renderD)[0-9]+$`)
