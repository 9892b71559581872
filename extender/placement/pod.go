package placement

import (
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/component-helpers/resource"

	"heteroaccel.io/pkg/inventory"
	"heteroaccel.io/pkg/resources"
)

// Query is a pod to place, at one moment.
type Query struct {
	// Needs is what the pod requests. A pod that needs no devices is of the
	// CPU kind.
	Needs resources.Amounts
	// Bound is the node on which the inventory counts this pod already, "" for
	// none: there the pod does not compete with itself.
	Bound string
	// Unmanaged is set for a pod that HeteroAccel did not admit, such as one
	// pinned to an accelerator by hand: it is kept off unusable devices, and
	// nothing else.
	Unmanaged bool
	// Skip is set for a pod that is left alone: every node passes, and all score
	// alike.
	Skip bool
	// Preference is which nodes the pod prefers, nil for none. Only scores depend
	// on it.
	Preference *inventory.Preference
	// FreshSince is how old telemetry may be to count as fresh, as a time.
	FreshSince time.Time
}

// NeedsOf is what a pod requests, as kube-scheduler adds it up. It reads the
// containers' resources and the overhead, but no annotations: those can be
// changed once the pod exists.
func NeedsOf(pod *corev1.Pod) resources.Amounts {
	return resources.Of(resource.PodRequests(resources.Sane(pod), resource.PodResourcesOptions{}))
}

// fresh reports whether the node has fresh telemetry.
func (q *Query) fresh(n *inventory.Node) bool {
	return n.Telemetry != nil && !n.Telemetry.Time.Before(q.FreshSince)
}

// ownHeld is how much of what is held on node n this pod holds itself.
func (q *Query) ownHeld(n *inventory.Node, resource string) int64 {
	if q.Bound == "" || q.Bound != n.Name {
		return 0
	}
	return q.Needs.Device(resource)
}
