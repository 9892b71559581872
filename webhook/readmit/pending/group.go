package pending

import (
	"time"

	"heteroaccel.io/pkg/accel"
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
	// Deadline is the profile's, for pods whose annotation does not say; 0 is none.
	Deadline time.Duration
}

// DeadlineOf is by when the run of one of the pods should be done.
func (g *Group) DeadlineOf(p *Pod, now time.Time) inventory.Deadline {
	of := accel.Request{Deadline: p.Deadline}.DeadlineOr(g.Deadline)
	return inventory.DeadlineOf(of, now.Sub(p.First()))
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
