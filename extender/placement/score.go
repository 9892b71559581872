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
	mostScore    = extenderv1.MaxExtenderPriority
	// unknownLoad stands in for a CPU load that no sample tells.
	unknownLoad = 0.5
)

// Score ranks one node for the pod, from 0 to MaxExtenderPriority (10):
//
//	unknown node             0, and every node of a pod left alone
//	stale, needs devices     1 + round(2·free)                       1 …  3
//	fresh, but not sure      the same
//	stale, CPU kind          1 + round(1·free) + spare               1 …  3
//	fresh, needs devices     4 + round(4·free + 2·(1−load))          4 … 10
//	fresh, CPU kind          4 + round(3·free + 2·(1−load)) + spare  4 … 10
//
// where
//
//	free   the share of the node's devices, or for the CPU kind of its
//	       cores, that is left once the pod is there, 0 to 1; of several
//	       resources the scarcest; by the sample too when it is fresh
//	load   the busy share of the node's cores, 0 to 1; ½ when unknown
//	not sure  the pod would need a device of which the sample does not tell
//	       whether it can be used: it may be placed there, and a node whose
//	       devices are known to be idle comes first. What is free on a sure
//	       node leaves such devices out
//	spare  1 when no device of the node is idle: the cores of a node with
//	       idle devices are kept, mildly, for feeding them
func (q *Query) Score(n *inventory.Node) int64 {
	if n == nil || q.Alone {
		return unknownScore
	}
	fresh := q.fresh(n)
	load, known := n.Load(fresh)
	if !known {
		load = unknownLoad
	}
	sure := fresh && q.sure(n)
	free := q.free(n, fresh, sure)
	devices := len(q.Needs.Devices) > 0
	var score, spare int64
	if !devices && !idleDevices(n, fresh) {
		spare = 1
	}
	switch {
	case sure && devices:
		score = freshScore + round(4*free+2*(1-load))
	case fresh && !devices:
		score = freshScore + round(3*free+2*(1-load)) + spare
	case devices:
		score = staleScore + round(2*free)
	default:
		score = staleScore + round(free) + spare
	}
	return min(score, mostScore)
}

// sure reports whether the pod can do without the devices of which a fresh
// sample does not tell whether they can be used.
func (q *Query) sure(n *inventory.Node) bool {
	for _, d := range q.Needs.Devices {
		doubtful := doubtful(n, d.Resource)
		if doubtful > 0 && n.Usable(d.Resource, true)+q.counted(n, d.Resource)-doubtful < d.Count {
			return false
		}
	}
	return true
}

// doubtful is how many slots of a resource no pod holds on devices of which
// the node's sample does not tell whether they can be used.
func doubtful(n *inventory.Node, resource string) (slots int64) {
	for i := range n.Telemetry.Devices {
		d := &n.Telemetry.Devices[i]
		if d.Resource == resource && d.Health == accel.HealthUnknown && d.Usable() {
			slots += max(0, int64(d.Slots)-stillHeld(n, d, nil))
		}
	}
	return slots
}

// free is the share of what the pod needs that is left on n with it there; of
// devices that are known to be healthy when sure.
func (q *Query) free(n *inventory.Node, fresh, sure bool) float64 {
	if len(q.Needs.Devices) == 0 {
		left := n.Allocatable.CPU - n.Held.CPU
		if q.Bound != n.Name {
			left -= q.Needs.CPU
		}
		return share(left, n.Allocatable.CPU)
	}
	free := 1.0
	for _, d := range q.Needs.Devices {
		left := n.Usable(d.Resource, fresh) + q.counted(n, d.Resource)
		if sure {
			left -= doubtful(n, d.Resource)
		}
		free = min(free, share(left-d.Count, n.Capacity.Device(d.Resource)))
	}
	return free
}

// share is part/whole within 0 and 1, 0 of nothing.
func share(part, whole int64) float64 {
	if whole <= 0 || part <= 0 {
		return 0
	}
	return min(1, float64(part)/float64(whole))
}

// idleDevices reports whether any device of the node could be given out.
func idleDevices(n *inventory.Node, fresh bool) bool {
	for _, d := range n.Allocatable.Devices {
		if n.Usable(d.Resource, fresh) > 0 {
			return true
		}
	}
	return false
}

func round(f float64) int64 { return int64(math.Round(f)) }
