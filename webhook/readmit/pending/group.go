package pending

import (
	"heteroaccel.io/pkg/inventory"
)

// Group is the pending pods of a template, and how their options stand.
type Group struct {
	*Template
	Pods       []*Pod
	Options    []inventory.Option
	Candidates []inventory.Candidate
	// Own is the candidate of the kind they wait for.
	Own inventory.Candidate
}

// Query asks how the options stand for one of the pods.
func (g *Group) Query() inventory.Query {
	return inventory.Query{Namespace: g.Template.Pod.Metadata.Namespace, Options: g.Options, Replaces: g.Pods[0].Name}
}

// FirstUnschedulable is the pod that the scheduler tries first of those it found
// no node for; nil when there is none.
func (g *Group) FirstUnschedulable() (first *Pod) {
	for _, p := range g.Pods {
		if p.Unschedulable && (first == nil || QueueOrder(p, first) < 0) {
			first = p
		}
	}
	return first
}
