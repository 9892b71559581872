package placement

import (
	"fmt"

	"heteroaccel.io/pkg/accel"
	"heteroaccel.io/pkg/inventory"
	"heteroaccel.io/pkg/resources"
)

// Reason is why a node was rejected. There are few, so it can be a label.
type Reason string

const (
	// Absent: the node has no such device, and evicting pods would not help.
	Absent Reason = "absent"
	// Unhealthy: too few healthy devices are left.
	Unhealthy Reason = "unhealthy"
	// ExternalUse: processes outside Kubernetes leave too few devices.
	ExternalUse Reason = "external_use"
)

// Result is what Filter or Preempt found for one node. The zero Result is of a
// node that fits.
type Result struct {
	Reason Reason
	// Message is a sentence naming the devices.
	Message string
}

// Fits reports whether the node was not rejected.
func (r Result) Fits() bool { return r.Reason == "" }

// Filter decides whether the pod may be placed on a node:
//
//   - A pod of the CPU kind passes everywhere, and so does one to skip.
//
//   - An unknown node (nil) passes: kube-scheduler knows more of it.
//
//   - A node without capacity for a device that the pod needs is Absent. For an
//     unmanaged pod it passes: the node may offer the device in another way, as
//     by a ResourceClaim that the scheduler creates.
//
//   - A node without fresh telemetry passes: Kubernetes' accounting decides.
//
//   - Any other node is rejected if devices that are unhealthy or in external
//     use, and only these, make the difference:
//
//     blocked > 0  and  capacity − blocked − held by others < need
//
// where blocked are the slots of such devices that no pod holds.
func (q *Query) Filter(n *inventory.Node) Result {
	if n == nil || q.Skip {
		return Result{}
	}
	fresh := q.fresh(n)
	for _, d := range q.Needs.Devices {
		switch {
		case n.Usable(d.Resource, fresh) >= d.Count:
			// the usual case, and the cheapest to check
		case n.Capacity.Device(d.Resource) == 0 && n.Allocatable.Device(d.Resource) == 0:
			if !q.Unmanaged {
				return Result{Absent, "this node offers no " + d.Resource}
			}
		case fresh:
			if left, blocked := q.usableSlots(n, d.Resource, nil); blocked && left < d.Count {
				return explain(n, d, max(0, left))
			}
		}
	}
	return Result{}
}

// Behind reports whether the record of a node that Filter rejected is older than
// what kube-scheduler knows: by the record the pod does not even fit Kubernetes'
// accounting, but kube-scheduler has just found that it does. So some pod is
// gone, and a later record will tell which device it held.
func (q *Query) Behind(n *inventory.Node) bool {
	for _, d := range q.Needs.Devices {
		if n.Held.Device(d.Resource)-q.ownHeld(n, d.Resource)+d.Count > n.Allocatable.Device(d.Resource) {
			return true
		}
	}
	return false
}

// unusable reports whether no pod should be given the device, for certain.
func unusable(d *accel.Device) bool { return !d.Usable() }

// usableSlots is how many slots of a resource are left for the pod on devices
// that the node's telemetry does not show as unusable, once the pods in gone are
// gone. blocked reports whether any device is unusable.
//
// Telemetry shows which slots of an unusable device pods held at the time. Those
// whose pod is gone since are not free: the device is still unusable.
func (q *Query) usableSlots(n *inventory.Node, resource string, gone []*inventory.Pod) (slots int64, blocked bool) {
	var bad, heldOnBad int64
	for i := range n.Telemetry.Devices {
		d := &n.Telemetry.Devices[i]
		if d.Resource != resource || !unusable(d) {
			continue
		}
		blocked = true
		bad += int64(d.Slots)
		heldOnBad += stillHeld(n, d, gone)
	}
	held := n.Held.Device(resource) - q.ownHeld(n, resource)
	for _, p := range gone {
		held -= p.Needs.Device(resource)
	}
	return n.Capacity.Device(resource) - bad - max(0, held-heldOnBad), blocked
}

// stillHeld is how many slots of a device pods hold once the pods in gone are
// gone: those that the kubelet had allocated at the time of the telemetry, less
// those of pods that are no longer bound here.
func stillHeld(n *inventory.Node, d *accel.Device, gone []*inventory.Pod) int64 {
	held := int64(max(d.Allocated, 0))
	for _, h := range d.Holders {
		if !Among(n.Holders, h) || Among(gone, h) {
			held -= int64(h.Slots)
		}
	}
	return max(0, held)
}

// Among reports whether one of the pods is the holder of a device that telemetry
// shows.
func Among(pods []*inventory.Pod, h accel.Holder) bool {
	for _, p := range pods {
		if p.Name == h.Pod && p.Namespace == h.Namespace {
			return true
		}
	}
	return false
}

// maxNamed is how many a sentence names before it counts the rest.
const maxNamed = 3

// explain names the unusable devices of a resource, of which only left slots
// remain. The reason is that of the first.
func explain(n *inventory.Node, need resources.Devices, left int64) Result {
	r := Result{}
	bad, all := 0, 0
	for i := range n.Telemetry.Devices {
		d := &n.Telemetry.Devices[i]
		if d.Resource != need.Resource {
			continue
		}
		all++
		if !unusable(d) {
			continue
		}
		reason, why := Unhealthy, " is unhealthy"
		if d.Health != accel.Unhealthy {
			reason, why = ExternalUse, " is used outside Kubernetes by "+d.ExternalUse
		}
		if bad++; bad == 1 {
			r = Result{reason, string(d.Kind) + " " + d.ID + why}
		} else if bad <= maxNamed {
			r.Message += ", " + string(d.Kind) + " " + d.ID + why
		}
	}
	if bad > maxNamed {
		r.Message += fmt.Sprintf(", %d more are unusable", bad-maxNamed)
	}
	switch {
	case need.Count > 1:
		r.Message += fmt.Sprintf(", %d of the %d needed are left", left, need.Count)
	case bad < all:
		r.Message += ", pods hold the rest"
	}
	return r
}
