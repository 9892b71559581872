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
	// Bound is the node that the inventory counts this very pod on already,
	// "" for none: there it is not counted against itself.
	Bound string
	// Foreign is set for a pod that HeteroAccel did not admit, as one pinned to
	// an accelerator by hand: it is kept off broken devices, and judged by
	// nothing else.
	Foreign bool
	// Alone is set for a pod that is to be left alone: every node passes, none
	// scores above another.
	Alone bool
	// Oldest is the time since when a sample counts as fresh: now, less how
	// old one may be.
	Oldest time.Time
}

// NeedsOf is what a pod requests, as kube-scheduler adds it up. Only its
// containers' resources and its overhead are read: nobody can change what they
// say of devices once the pod exists, which is not so for annotations.
func NeedsOf(pod *corev1.Pod) resources.Amounts {
	return resources.Of(resource.PodRequests(pod, resource.PodResourcesOptions{}))
}

// fresh reports whether the node's sample counts.
func (q *Query) fresh(n *inventory.Node) bool {
	return n.Telemetry != nil && !n.Telemetry.Time.Before(q.Oldest)
}

// counted is how much of what node n shows as held is this pod's own.
func (q *Query) counted(n *inventory.Node, resource string) int64 {
	if q.Bound == "" || q.Bound != n.Name {
		return 0
	}
	return q.Needs.Device(resource)
}
