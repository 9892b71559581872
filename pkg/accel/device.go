package accel

// Device is one accelerator of one node, as the exporter there reports it.
type Device struct {
	// Kind is the kind of accelerator.
	Kind Kind `json:"kind"`
	// ID is a stable name of the device on its node: a PCI address, a USB path.
	ID string `json:"id"`
	// Resource is the extended resource that the device belongs to; "" for the
	// CPU and for a device that no device plugin advertises.
	Resource string `json:"resource,omitempty"`
	// Vendor, Model and Driver describe it; any may be "".
	Vendor string `json:"vendor,omitempty"`
	Model  string `json:"model,omitempty"`
	Driver string `json:"driver,omitempty"`
	// PluginID is its device plugin's id for it, without the number of the slot
	// where it has several, or driver/pool/device for a DRA driver's. "" when
	// it has neither, or that is unknown.
	PluginID string `json:"pluginID,omitempty"`
	// NUMA is the NUMA node it is attached to, from 0; nil when the machine has
	// none.
	NUMA *int `json:"numaNode,omitempty"`
	// Busy is the fraction of the time since the last scrape in which it was
	// busy, 0 to 1. BusySeconds is how long it was busy since its exporter
	// started. Each is nil where the kernel does not report it.
	Busy        *float64 `json:"busy,omitempty"`
	BusySeconds *float64 `json:"busySeconds,omitempty"`
	// Health is whether it can be used. Reason says why it is unhealthy, or why
	// that is unknown; "" for a healthy device, and without a known reason.
	Health Health `json:"health"`
	Reason string `json:"reason,omitempty"`
	// Slots is how many pods may share the device; 1 unless it is shared.
	Slots int `json:"slots"`
	// Allocated is how many slots containers hold, by the kubelet's PodResources
	// API. -1 when that did not answer: unknown is not idle.
	Allocated int `json:"allocated"`
	// ExternalUse is the command of a process outside Kubernetes that uses the
	// device, "" when there is none.
	ExternalUse string `json:"externalUse,omitempty"`
	// Holders are the containers that hold the Allocated slots.
	Holders []Holder `json:"holders,omitempty"`
}

// Holder is a container that holds slots of a device.
type Holder struct {
	Namespace string `json:"namespace"`
	Pod       string `json:"pod"`
	Container string `json:"container"`
	Slots     int    `json:"slots"`
	// Claim is the ResourceClaim for which a DRA driver allocated the device, in
	// the same namespace; "" for a device plugin's.
	Claim string `json:"claim,omitempty"`
}

// Usable reports whether the device may be allocated to pods: it is not known to be
// unhealthy or in external use. A device of unknown health is usable: it is left to
// Kubernetes' own accounting.
func (d Device) Usable() bool { return d.Health != Unhealthy && d.ExternalUse == "" }

// Blocked is how many free slots of the device must not be allocated: all of them
// when it is unhealthy or in external use, else none.
func (d Device) Blocked() int {
	if d.Usable() {
		return 0
	}
	return max(0, d.Slots-max(d.Allocated, 0))
}
