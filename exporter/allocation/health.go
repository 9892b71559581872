package allocation

import (
	"regexp"

	"heteroaccel.io/exporter/discovery"
	"heteroaccel.io/pkg/accel"
)

// Why a device that the kernel finds no fault with is unhealthy.
const (
	withdrawn = "the kubelet does not offer it: its device plugin calls it unhealthy, or is gone"
	unserved  = "no device plugin and no DRA driver offers it"
	twice     = "both a device plugin and a DRA driver offer it"
	lost      = "the kernel has no such device any more"
)

// fault says why the device is unhealthy; the first reason stands.
func (d *device) fault(reason string) {
	if d.Health != accel.Unhealthy {
		d.Health, d.Reason = accel.Unhealthy, reason
	}
}

// doubt says why it is unknown whether the device, which nobody calls
// unhealthy, works.
func (d *device) doubt(reason string) {
	if d.Health == accel.Healthy {
		d.Health, d.Reason = accel.HealthUnknown, reason
	}
}

// judge takes the kernel's word. What is set aside for virtual machines is
// served to these, when it is served.
func (d *device) judge(f discovery.Device, served bool) {
	if f.Fault != "" && !(f.Aside && served) {
		d.fault(f.Fault)
	}
	if f.Doubt != "" {
		d.doubt(f.Doubt)
	}
}

// gone tells that a unit has the kernel's name for a device that the kernel has
// not, or not any more.
func (m Machine) gone(known names, u *unit) bool {
	if !exact.MatchString(u.name) || len(known.by[u.name]) > 0 || m.Present[u.name] {
		return false
	}
	if kernelName.MatchString(u.name) {
		return m.Complete
	}
	return u.apart && m.Present != nil
}

// kernelName matches what the kernel calls a GPU or NPU that has its driver.
var kernelName = regexp.MustCompile(`^(card|accel|renderD)[0-9]+$`)
