package placement

import (
	"fmt"

	"heteroaccel.io/pkg/accel"
	"heteroaccel.io/pkg/inventory"
	"heteroaccel.io/pkg/resources"
)

// Cause is why a node was rejected. There are few, so it can be a label.
type Cause string

const (
	// Fits is the cause of no rejection.
	Fits Cause = ""
	// Absent: the node has no such device, and evicting pods would not help.
	Absent Cause = "absent"
	// Unhealthy: too few healthy devices are left.
	Unhealthy Cause = "unhealthy"
	// ExternalUse: processes outside Kubernetes leave too few devices.
	ExternalUse Cause = "external_use"
)

// Verdict is what Filter has to say of one node.
type Verdict struct {
	Cause Cause
	// Message is a sentence naming the devices, "" for a node that fits.
	Message string
}

// Filter judges one node:
//
//   - A pod of the CPU kind passes everywhere, and so does one that is to be
//     left alone.
//
//   - An unknown node (nil) passes: kube-scheduler knows more of it.
//
//   - A node with no capacity for a device the pod needs is Absent, unless the
//     pod is a foreign one: that the node offers it in another manner, as by a
//     ResourceClaim of the scheduler's making, is not ours to deny.
//
//   - A node without a fresh sample passes: Kubernetes' accounting stands.
//
//   - Else the node is rejected when unhealthy or outside-used devices, and
//     only these, make the difference:
//
//     blocked > 0  and  capacity − blocked − held by others < need
//
// Blocked are the slots of such devices that no pod holds.
func (q *Query) Filter(n *inventory.Node) Verdict {
	if n == nil || q.Alone {
		return Verdict{}
	}
	fresh := q.fresh(n)
	for _, d := range q.Needs.Devices {
		switch {
		case n.Usable(d.Resource, fresh) >= d.Count:
			// the usual case, and the cheapest to find out
		case n.Capacity.Device(d.Resource) == 0 && n.Allocatable.Device(d.Resource) == 0:
			if !q.Foreign {
				return Verdict{Absent, "this node offers no " + d.Resource}
			}
		case fresh:
			if sound, blocked := q.sound(n, d.Resource, nil); blocked && sound < d.Count {
				return explain(n, d, max(0, sound))
			}
		}
	}
	return Verdict{}
}

// Behind reports whether the record of a node that Filter rejected is older than
// what kube-scheduler knows: by its count the pod does not even fit by
// Kubernetes' accounting, which kube-scheduler has just found it does. Some pod
// is gone, and which device it held decides: a later record will tell.
func (q *Query) Behind(n *inventory.Node) bool {
	for _, d := range q.Needs.Devices {
		if n.Held.Device(d.Resource)-q.counted(n, d.Resource)+d.Count > n.Allocatable.Device(d.Resource) {
			return true
		}
	}
	return false
}

// broken reports whether the sample says for certain that no pod should be
// given the device.
func broken(d *accel.Device) bool { return !d.Usable() }

// sound is how many slots of a resource are left for the pod on devices that
// are not unhealthy and not used from outside, by the node's sample, once the
// pods of gone are. With blocked false every device is so.
//
// The sample tells which slots of a bad device pods held when it was taken.
// Those whose pod is gone since are not free: their device is still bad.
func (q *Query) sound(n *inventory.Node, resource string, gone []*inventory.Pod) (slots int64, blocked bool) {
	var bad, heldOnBad int64
	for i := range n.Telemetry.Devices {
		d := &n.Telemetry.Devices[i]
		if d.Resource != resource || !broken(d) {
			continue
		}
		blocked = true
		bad += int64(d.Slots)
		heldOnBad += stillHeld(n, d, gone)
	}
	held := n.Held.Device(resource) - q.counted(n, resource)
	for _, p := range gone {
		held -= p.Needs.Device(resource)
	}
	return n.Capacity.Device(resource) - bad - max(0, held-heldOnBad), blocked
}

// stillHeld is how many slots of a device pods hold once those of gone are:
// those the kubelet had given out when the sample was taken, less those of pods
// that are not bound here any more.
func stillHeld(n *inventory.Node, d *accel.Device, gone []*inventory.Pod) int64 {
	held := int64(max(d.Allocated, 0))
	for _, h := range d.Holders {
		if !among(n.Holders, h) || among(gone, h) {
			held -= int64(h.Slots)
		}
	}
	return max(0, held)
}

func among(pods []*inventory.Pod, h accel.Holder) bool {
	for _, p := range pods {
		if p.Name == h.Pod && p.Namespace == h.Namespace {
			return true
		}
	}
	return false
}

// named is how many bad devices a sentence names before it counts the rest.
const named = 3

// explain names the bad devices of what is needed, of which only left remain.
// The cause is the first one's.
func explain(n *inventory.Node, need resources.Devices, left int64) Verdict {
	v := Verdict{}
	bad, devices := 0, 0
	for i := range n.Telemetry.Devices {
		d := &n.Telemetry.Devices[i]
		if d.Resource != need.Resource {
			continue
		}
		devices++
		if !broken(d) {
			continue
		}
		cause, why := Unhealthy, " is unhealthy"
		if d.Health != accel.Unhealthy {
			cause, why = ExternalUse, " is used outside Kubernetes by "+d.ExternalUse
		}
		if bad++; bad == 1 {
			v = Verdict{cause, string(d.Kind) + " " + d.ID + why}
		} else if bad <= named {
			v.Message += ", " + string(d.Kind) + " " + d.ID + why
		}
	}
	if bad > named {
		v.Message += fmt.Sprintf(", %d more are out of use", bad-named)
	}
	switch {
	case need.Count > 1:
		v.Message += fmt.Sprintf(", %d of the %d needed are left", left, need.Count)
	case bad < devices:
		v.Message += ", pods hold the rest"
	}
	return v
}
