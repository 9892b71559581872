package placement

import (
	"slices"
	"strings"

	"heteroaccel.io/pkg/inventory"
)

// Victims are the pods that kube-scheduler would evict from one node to make
// room for the pod.
type Victims struct {
	// Pods are those of them that the inventory knows.
	Pods []*inventory.Pod
	// Unknown is set when there are others: what they hold is not known.
	Unknown bool
}

// Preempt decides whether evicting the victims from a node would help the pod:
//
//   - An unknown node (nil) and one without fresh telemetry stay candidates:
//     nothing contradicts kube-scheduler's own arithmetic.
//
//   - Any other node is rejected if Filter would still reject it with the victims
//     gone, for devices that are unhealthy or in external use. The victims would
//     be evicted for nothing.
//
//     blocked > 0  and  capacity − blocked − held by those who stay < need
//
// A victim on a usable device leaves a usable slot, one on an unusable device
// does not. Unknown victims may hold all the usable ones. Whether a node has such
// a device at all, kube-scheduler knows.
func (q *Query) Preempt(n *inventory.Node, v Victims) Result {
	if n == nil || q.Skip || !q.fresh(n) {
		return Result{}
	}
	for _, d := range q.Needs.Devices {
		gone := v.Pods
		if v.Unknown {
			gone = n.Holders
		}
		if left, blocked := q.usableSlots(n, d.Resource, gone); blocked && left < d.Count {
			r := explain(n, d, max(0, left))
			r.Message += "; evicting " + v.String() + " would free no usable device"
			return r
		}
	}
	return Result{}
}

// String names the first victims: "default/a, default/b and others".
func (v Victims) String() string {
	var keys []string
	for _, p := range v.Pods {
		keys = append(keys, p.Key())
	}
	slices.Sort(keys)
	more := v.Unknown || len(keys) > maxNamed
	switch keys = keys[:min(maxNamed, len(keys))]; {
	case len(keys) == 0:
		return "pods"
	case more:
		return strings.Join(keys, ", ") + " and others"
	}
	return strings.Join(keys, ", ")
}
