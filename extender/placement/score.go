package placement

import (
	"math"

	extenderv1 "k8s.io/kube-scheduler/extender/v1"

	"heteroaccel.io/pkg/accel"
	"heteroaccel.io/pkg/inventory"
)

// The score's bands, in points. Every fresh node scores above every stale one,
// and every known node above an unknown one.
const (
	unknownScore = extenderv1.MinExtenderPriority
	staleScore   = 1
	freshScore   = 4
	maxScore     = extenderv1.MaxExtenderPriority
	// unknownLoad is taken for the CPU load where it is unknown.
	unknownLoad = 0.5
)

// Score ranks one node for the pod, from 0 to MaxExtenderPriority (10):
//
//	unknown node             0, and every node for a pod to skip
//	stale, needs devices     1 + round(2·free)                       1 …  3
//	fresh, but uncertain     the same
//	stale, CPU kind          1 + round(1·free) + spare               1 …  3
//	fresh, needs devices     4 + round(4·free + 2·(1−load))          4 … 10
//	fresh, CPU kind          4 + round(3·free + 2·(1−load)) + spare  4 … 10
//
// where
//
//	free   the fraction of the node's devices, or for the CPU kind of its
//	       cores, that is left once the pod is there, 0 to 1; of several
//	       resources the scarcest; by telemetry too if it is fresh
//	load   the busy fraction of the node's cores, 0 to 1; ½ when unknown
//	uncertain  the pod would need a device whose health is unknown: it may be
//	       placed there, but a node whose devices are known to be idle is
//	       preferred. On a certain node such devices do not count as free
//	spare  1 if no device of the node is idle: the cores of a node with idle
//	       devices are kept, by a small preference, for feeding these
func (q *Query) Score(n *inventory.Node) int64 {
	if n == nil || q.Skip {
		return unknownScore
	}
	base, above, spare := q.points(n)
	return min(base+round(above)+spare, maxScore)
}

// points are the lowest score of the node's band, freshScore or staleScore, and
// what speaks for the node above that: above, before it is rounded, and spare.
func (q *Query) points(n *inventory.Node) (base int64, above float64, spare int64) {
	fresh := q.fresh(n)
	load, known := n.Load(fresh)
	if !known {
		load = unknownLoad
	}
	certain := fresh && q.certain(n)
	free := q.free(n, fresh, certain)
	devices := len(q.Needs.Devices) > 0
	if !devices && !idleDevices(n, fresh) {
		spare = 1
	}
	switch {
	case certain && devices:
		return freshScore, 4*free + 2*(1-load), spare
	case fresh && !devices:
		return freshScore, 3*free + 2*(1-load), spare
	case devices:
		return staleScore, 2 * free, spare
	default:
		return staleScore, free, spare
	}
}

// certain reports whether the pod needs none of the devices whose health is
// unknown, by fresh telemetry.
func (q *Query) certain(n *inventory.Node) bool {
	for _, d := range q.Needs.Devices {
		unknown := unknownHealth(n, d.Resource)
		if unknown > 0 && n.Usable(d.Resource, true)+q.ownHeld(n, d.Resource)-unknown < d.Count {
			return false
		}
	}
	return true
}

// unknownHealth is how many slots of a resource no pod holds on devices whose
// health is unknown.
func unknownHealth(n *inventory.Node, resource string) (slots int64) {
	for i := range n.Telemetry.Devices {
		d := &n.Telemetry.Devices[i]
		if d.Resource == resource && d.Health == accel.HealthUnknown && d.Usable() {
			slots += max(0, int64(d.Slots)-stillHeld(n, d, nil))
		}
	}
	return slots
}

// free is the fraction of what the pod needs that is left on n once the pod is
// there; only of devices known to be healthy if certain.
func (q *Query) free(n *inventory.Node, fresh, certain bool) float64 {
	if len(q.Needs.Devices) == 0 {
		left := n.Allocatable.CPU - n.Held.CPU
		if q.Bound != n.Name {
			left -= q.Needs.CPU
		}
		return fraction(left, n.Allocatable.CPU)
	}
	free := 1.0
	for _, d := range q.Needs.Devices {
		left := n.Usable(d.Resource, fresh) + q.ownHeld(n, d.Resource)
		if certain {
			left -= unknownHealth(n, d.Resource)
		}
		free = min(free, fraction(left-d.Count, n.Capacity.Device(d.Resource)))
	}
	return free
}

// fraction is part/whole, within 0 and 1; 0 if whole is 0.
func fraction(part, whole int64) float64 {
	if whole <= 0 || part <= 0 {
		return 0
	}
	return min(1, float64(part)/float64(whole))
}

// idleDevices reports whether any device of the node could be allocated.
func idleDevices(n *inventory.Node, fresh bool) bool {
	for _, d := range n.Allocatable.Devices {
		if n.Usable(d.Resource, fresh) > 0 {
			return true
		}
	}
	return false
}

func round(f float64) int64 { return int64(math.Round(f)) }
