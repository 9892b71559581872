package accel

import "cmp"

// DeviceKey names a device on its node: two devices of a node never share one.
type DeviceKey struct {
	Kind Kind
	ID   string
}

// Key is the device's name on its node.
func (d Device) Key() DeviceKey { return DeviceKey{d.Kind, d.ID} }

// String is the kind and the id, for a sentence.
func (k DeviceKey) String() string { return string(k.Kind) + " " + k.ID }

// CompareDevices orders the devices of a node by kind, then id.
func CompareDevices(x, y Device) int {
	return cmp.Or(cmp.Compare(x.Kind, y.Kind), cmp.Compare(x.ID, y.ID))
}

// CompareHolders orders the holders of a device by namespace, pod, container
// and claim.
func CompareHolders(x, y Holder) int {
	return cmp.Or(cmp.Compare(x.Namespace, y.Namespace), cmp.Compare(x.Pod, y.Pod),
		cmp.Compare(x.Container, y.Container), cmp.Compare(x.Claim, y.Claim))
}
