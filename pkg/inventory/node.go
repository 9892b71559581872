package inventory

import (
	"maps"
	"slices"
	"time"
	"unique"

	corev1 "k8s.io/api/core/v1"

	"heteroaccel.io/pkg/accel"
	"heteroaccel.io/pkg/resources"
	"heteroaccel.io/pkg/telemetry"
)

// Node is what is known of one node at one moment. It is immutable: a change
// replaces it by a new one, so that readers need no lock.
type Node struct {
	Name string
	// Allocatable and Capacity are the kubelet's, and the node's Slots. Capacity
	// includes the devices that the kubelet knows to be unhealthy.
	Allocatable, Capacity resources.Amounts
	// Held is what the pods bound here request, and what is allocated here to
	// ResourceClaims, Pods how many pods there are, MaxPods how many there may be.
	Held          resources.Amounts
	Pods, MaxPods int64
	// Holders are the pods bound here that hold devices or that the webhook
	// admitted, in no particular order.
	Holders []*Pod
	// releasing are the pods that ended here and whose ResourceClaims still hold devices.
	releasing []*Pod
	// Telemetry is the latest scrape, nil before the first.
	Telemetry *telemetry.Scrape

	// traits are what constraints match.
	traits *traits
	// known is false while the API server has not shown the node, but pods bound
	// to it or telemetry of it.
	known bool
	// fresh is whether the telemetry was fresh when last checked.
	fresh bool
	// blocked are the free slots that pods cannot use by fresh telemetry.
	blocked resources.Amounts
	// blockedSlots are the Slots' Blocked, allocations how many ResourceClaims hold
	// devices of the node.
	blockedSlots resources.Amounts
	allocations  int64
	// index is the node's in Inventory.byIndex.
	index int
}

// traits are the labels, taints and cordon of a node.
type traits struct {
	labels   map[string]string
	taints   []corev1.Taint
	cordoned bool
}

func (t *traits) equal(o *traits) bool {
	if t == nil || o == nil {
		return t == o
	}
	return t.cordoned == o.cordoned && maps.Equal(t.labels, o.labels) &&
		slices.EqualFunc(t.taints, o.taints, func(a, b corev1.Taint) bool {
			return a.Key == b.Key && a.Value == b.Value && a.Effect == b.Effect
		})
}

// NodeOf reads a node of the API server.
func NodeOf(n *corev1.Node) *Node {
	// The nodes of a cluster share most label keys and values.
	labels := make(map[string]string, len(n.Labels))
	for k, v := range n.Labels {
		labels[unique.Make(k).Value()] = unique.Make(v).Value()
	}
	return &Node{
		Name:        unique.Make(n.Name).Value(),
		Allocatable: resources.Of(n.Status.Allocatable),
		Capacity:    resources.Of(n.Status.Capacity),
		MaxPods:     resources.Bounded(n.Status.Allocatable.Pods().Value()),
		known:       true,
		traits:      &traits{labels, slices.Clone(n.Spec.Taints), n.Spec.Unschedulable},
	}
}

// Cordoned reports whether the node takes no new pods.
func (n *Node) Cordoned() bool { return n.traits != nil && n.traits.cordoned }

// Taints are the node's taints.
func (n *Node) Taints() []corev1.Taint {
	if n.traits == nil {
		return nil
	}
	return n.traits.taints
}

// Age is how old the node's telemetry is at now; ok is false without any.
func (n *Node) Age(now time.Time) (age time.Duration, ok bool) {
	if n.Telemetry == nil {
		return 0, false
	}
	return max(0, now.Sub(n.Telemetry.Time)), true
}

// Has reports whether the node has what a pod needs, were it empty and all its devices
// healthy, and these labels. Whom it takes is not looked at.
func (n *Node) Has(needs resources.Amounts, labels map[string]string) bool {
	healthy := n.Allocatable
	healthy.Devices = n.Capacity.Devices
	if n.fitsEmpty(healthy, needs) == 0 {
		return false
	}
	for key, value := range labels {
		if n.traits == nil {
			return false
		}
		if got, ok := n.traits.labels[key]; !ok || got != value {
			return false
		}
	}
	return true
}

// Fresh reports whether the node's telemetry is no older than maxAge.
func (n *Node) Fresh(now time.Time, maxAge time.Duration) bool {
	age, ok := n.Age(now)
	return ok && age <= maxAge
}

// DevicesOf are the devices in the node's telemetry that are served as one
// extended resource.
func (n *Node) DevicesOf(resource string) []accel.Device {
	if n.Telemetry == nil {
		return nil
	}
	var ds []accel.Device
	for _, d := range n.Telemetry.Devices {
		if d.Resource == resource {
			ds = append(ds, d)
		}
	}
	return ds
}
