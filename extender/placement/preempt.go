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

// Preempt judges a node from which kube-scheduler would evict pods:
//
//   - An unknown node (nil) and one without a fresh sample stay candidates:
//     nothing speaks against kube-scheduler's own arithmetic.
//
//   - Else the node is taken out when, with the victims gone, Filter would
//     reject it for its unhealthy or outside-used devices all the same: they
//     would be evicted for nothing.
//
//     blocked > 0  and  capacity − blocked − held by those who stay < need
//
// A victim that holds a good device leaves a slot that can be used, one that
// holds a broken device does not. Unknown victims may hold all the good ones.
// That a node has no such device is not judged: kube-scheduler knows.
func (q *Query) Preempt(n *inventory.Node, v Victims) Result {
	if n == nil || q.Alone || !q.fresh(n) {
		return Result{}
	}
	for _, d := range q.Needs.Devices {
		gone := v.Pods
		if v.Unknown {
			gone = n.Holders
		}
		if sound, blocked := q.sound(n, d.Resource, gone); blocked && sound < d.Count {
			r := explain(n, d, max(0, sound))
			r.Message += "; evicting " + v.String() + " would free none that can be used"
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
	more := v.Unknown || len(keys) > named
	switch keys = keys[:min(named, len(keys))]; {
	case len(keys) == 0:
		return "pods"
	case more:
		return strings.Join(keys, ", ") + " and others"
	}
	return strings.Join(keys, ", ")
}
