package placement

import (
	"fmt"

	"heteroaccel.io/pkg/accel"
	"heteroaccel.io/pkg/inventory"
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
	// Outside: processes outside Kubernetes leave too few devices.
	Outside Cause = "outside"
)

// Verdict is what Filter has to say of one node.
type Verdict struct {
	Cause Cause
	// Message is a sentence naming the devices, "" for a node that fits.
	Message string
}

// Filter judges one node:
//
//   - A pod of the CPU kind passes everywhere.
//
//   - An unknown node (nil) passes: kube-scheduler knows more of it.
//
//   - A node with no capacity for a device the pod needs is Absent.
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
	if n == nil {
		return Verdict{}
	}
	fresh := q.fresh(n)
	for _, d := range q.Needs.Devices {
		switch {
		case n.Usable(d.Resource, fresh) >= d.Count:
			// the usual case, and the cheapest to find out
		case n.Capacity.Device(d.Resource) == 0 && n.Allocatable.Device(d.Resource) == 0:
			return Verdict{Absent, "this node offers no " + d.Resource}
		case fresh:
			if sound, blocked := q.sound(n, d.Resource); blocked && sound < d.Count {
				return explain(n, d, max(0, sound))
			}
		}
	}
	return Verdict{}
}

// sound is how many slots of a resource are left for the pod on devices that
// are not unhealthy and not used from outside, by the node's sample. With
// blocked false every device is so.
//
// The sample tells which slots of a bad device pods held when it was taken.
// Those whose pod is gone since are not free: their device is still bad.
func (q *Query) sound(n *inventory.Node, resource string) (slots int64, blocked bool) {
	var bad, heldOnBad int64
	for i := range n.Sample.Devices {
		d := &n.Sample.Devices[i]
		if d.Resource != resource || d.Usable() {
			continue
		}
		blocked = true
		bad += int64(d.Slots)
		heldOnBad += stillHeld(n, d)
	}
	held := n.Held.Device(resource) - q.counted(n, resource)
	return n.Capacity.Device(resource) - bad - max(0, held-heldOnBad), blocked
}

// stillHeld is how many slots of a device pods hold: those the kubelet had
// given out when the sample was taken, less those of pods that have gone since.
func stillHeld(n *inventory.Node, d *accel.Device) int64 {
	held := int64(max(d.Allocated, 0))
	for _, h := range d.Holders {
		if !bound(n, h) {
			held -= int64(h.Slots)
		}
	}
	return max(0, held)
}

func bound(n *inventory.Node, h accel.Holder) bool {
	for _, p := range n.Holders {
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
func explain(n *inventory.Node, need inventory.Devices, left int64) Verdict {
	v := Verdict{}
	bad, devices := 0, 0
	for i := range n.Sample.Devices {
		d := &n.Sample.Devices[i]
		if d.Resource != need.Resource {
			continue
		}
		devices++
		if d.Usable() {
			continue
		}
		cause, why := Unhealthy, " is unhealthy"
		if d.Health != accel.Unhealthy {
			cause, why = Outside, " is used outside Kubernetes by "+d.Outside
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
