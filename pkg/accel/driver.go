package accel

// What the exporter publishes as DRA driver. Attributes and capacities have no domain,
// so that they are in the driver's own.
const (
	// DeviceDriver is the name of the DRA driver that the exporter is.
	DeviceDriver = "devices.heteroaccel.io"
	// CPUDevice is the name of a node's processors in its pool.
	CPUDevice = "cpu"
	// AttributeKind is the device attribute with the kind in lower case.
	AttributeKind = "kind"
	// CapacitySlots is the capacity of a device that several claims share: how many.
	CapacitySlots = "slots"
	// TaintUnhealthy is the key of the taint of a device that cannot be used, and
	// TaintInUse that of one that a process outside Kubernetes uses. The value is
	// the reason.
	TaintUnhealthy = DeviceDriver + "/unhealthy"
	TaintInUse     = DeviceDriver + "/in-use"
)
