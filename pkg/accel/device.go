package accel

// Device is one accelerator of one node, as its exporter sees it.
type Device struct {
	// Kind is what sort of accelerator it is.
	Kind Kind `json:"kind"`
	// ID names the device for good on its node: a PCI address, a USB path.
	ID string `json:"id"`
	// Resource is the extended resource the device is served as; "" for the
	// CPU and for a device that no device plugin serves.
	Resource string `json:"resource,omitempty"`
	// Vendor, Model and Driver describe it in words; any may be "".
	Vendor string `json:"vendor,omitempty"`
	Model  string `json:"model,omitempty"`
	Driver string `json:"driver,omitempty"`
	// PluginID is what whoever serves it calls it: the id under which its
	// device plugin registered it, without the number of the slot where it
	// has several, or driver/pool/device where a DRA driver serves it. ""
	// when nobody does, or it is not known.
	PluginID string `json:"pluginID,omitempty"`
	// NUMA is the NUMA node it is attached to, from 0; nil when the machine
	// names none.
	NUMA *int `json:"numaNode,omitempty"`
	// Busy is the share of the time since the scrape before for which it
	// worked, 0 to 1, and BusySeconds for how long it has since its exporter
	// began to look. Each is nil where the kernel does not tell.
	Busy        *float64 `json:"busy,omitempty"`
	BusySeconds *float64 `json:"busySeconds,omitempty"`
	// Health is what is known of whether it can be used, and Reason says in
	// words why it is not healthy, or why that is not known; "" for a healthy
	// device, and where nobody says.
	Health Health `json:"health"`
	Reason string `json:"reason,omitempty"`
	// Slots is how many pods may share the device; 1 unless it is shared.
	Slots int `json:"slots"`
	// Allocated counts the slots that containers hold, by the kubelet. -1
	// when the kubelet could not be asked: unknown is not idle.
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
	// Claim is the ResourceClaim through which a DRA driver gave it the
	// device, in the same namespace; "" for a device plugin's.
	Claim string `json:"claim,omitempty"`
}

// Usable reports whether nothing speaks against giving pods the device: it is
// not unhealthy, and not used from outside Kubernetes. One of which that is
// unknown is usable: the last word on it is Kubernetes' own accounting.
func (d Device) Usable() bool { return d.Health != Unhealthy && d.ExternalUse == "" }

// Blocked is how many of the device's slots nobody may be given although no
// pod holds them: all the free ones when it is unhealthy or used from outside.
func (d Device) Blocked() int {
	if d.Usable() {
		return 0
	}
	return max(0, d.Slots-max(d.Allocated, 0))
}
