package verbs

import (
	"maps"
	"slices"

	"heteroaccel.io/extender/history"
	"heteroaccel.io/extender/placement"
	"heteroaccel.io/pkg/inventory"
)

// candidate is a node, and the pods to be evicted from it.
type candidate struct {
	node    string
	victims *metaVictims
}

// preempt keeps the candidates on which evicting the victims would help. If none
// is left, kube-scheduler evicts nobody.
func (v *Verbs) preempt(a *preemptArgs) []candidate {
	now := v.Inventory.Now()
	q := v.query(a.Pod, now)
	names := slices.Sorted(maps.Keys(a.NodeNameToMetaVictims))
	var kept []candidate
	call := history.Call{Time: now}
	for i, n := range v.Inventory.Lookup(names) {
		c := candidate{names[i], a.NodeNameToMetaVictims[names[i]]}
		found := q.Preempt(n, v.victims(n, c.victims))
		if found.Fits() {
			call.Passed++
			kept = append(kept, c)
			continue
		}
		v.metrics.preemptRejected[found.Reason].Inc()
		call.Reject(n.Name, found.Message)
	}
	v.History.SetPreemption(a.Pod.Metadata.UID, call)
	return kept
}

// victims are the pods of a node that would be evicted, as the inventory has
// them. The node's holders lack a pod that holds no device and is none of ours;
// the UIDs of all pods tell whether there is such a pod at all.
func (v *Verbs) victims(n *inventory.Node, m *metaVictims) placement.Victims {
	var out placement.Victims
	if n == nil {
		return out
	}
	for _, p := range m.Pods {
		i := slices.IndexFunc(n.Holders, func(h *inventory.Pod) bool { return string(h.UID) == p.UID })
		switch {
		case i >= 0:
			out.Pods = append(out.Pods, n.Holders[i])
		case !v.pods.has(p.UID):
			out.Unknown = true
		}
	}
	return out
}
