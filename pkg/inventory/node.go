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
// makes a new one, so whoever looked a node up may read it at leisure.
type Node struct {
	Name string
	// Allocatable and Capacity are the kubelet's; capacity counts the devices
	// that the kubelet knows to be unhealthy as well.
	Allocatable, Capacity resources.Amounts
	// Held is what the pods bound here request; Pods is how many they are, of
	// at most MaxPods.
	Held          resources.Amounts
	Pods, MaxPods int64
	// Holders are the pods bound here that hold devices or are ours, in no
	// particular order.
	Holders []*Pod
	// Telemetry is the newest one, nil before the first.
	Telemetry *telemetry.Scrape

	// traits are what constraints match.
	traits *traits
	// known is false for a node of which only pods or samples have come yet.
	known bool
	// fresh is whether the sample was when the inventory looked last.
	fresh bool
	// blocked are the slots that a fresh sample takes away.
	blocked resources.Amounts
	// index is the node's number in the inventory.
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

// NodeOf reduces a node of the API server to its record.
func NodeOf(n *corev1.Node) *Node {
	// A cluster's nodes share nearly all of their labels' words.
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

// Age is how old the node's sample is at now; ok is false without one.
func (n *Node) Age(now time.Time) (age time.Duration, ok bool) {
	if n.Telemetry == nil {
		return 0, false
	}
	return max(0, now.Sub(n.Telemetry.Time)), true
}

// Fresh reports whether the node's sample is no older than most.
func (n *Node) Fresh(now time.Time, most time.Duration) bool {
	age, ok := n.Age(now)
	return ok && age <= most
}

// Usable is how many more slots of an extended resource pods can be given:
//
//	min(allocatable − held, capacity − held − blocked), never below 0
//
// Blocked are the free slots of unhealthy devices and of those used from
// outside Kubernetes; not those of devices whose health is unknown. The kubelet takes an unhealthy device out of allocatable
// itself once it knows; the capacity still counts it, so nothing is taken away
// twice. With a stale sample Kubernetes' own accounting counts alone.
func (n *Node) Usable(resource string, fresh bool) int64 {
	held := n.Held.Device(resource)
	usable := n.Allocatable.Device(resource) - held
	if fresh {
		usable = min(usable, n.Capacity.Device(resource)-held-n.blocked.Device(resource))
	}
	return max(0, usable)
}

// FreeCPU is how many milli-cores are neither requested nor, by a fresh
// sample, busy.
func (n *Node) FreeCPU(fresh bool) int64 {
	free := n.Allocatable.CPU - n.Held.CPU
	if load, ok := n.Load(fresh); ok {
		free = min(free, int64((1-load)*n.Telemetry.CPUCores*1000))
	}
	return max(0, free)
}

// Load is the busy share of the node's cores, 0 to 1; ok is false when no
// fresh sample tells.
func (n *Node) Load(fresh bool) (load float64, ok bool) {
	if !fresh || n.Telemetry == nil {
		return 0, false
	}
	busy, cores := n.Telemetry.CPUBusy, n.Telemetry.CPUCores
	if !(cores > 0 && cores < resources.Max && busy >= 0) { // also when one is not a number
		return 0, false
	}
	return min(1, busy/cores), true
}

// Fits is how many pods with these needs the node could take now: how often
// they go into what is free of everything they ask for. Only a pod that needs
// no device is kept off cores that are busy but not requested.
func (n *Node) Fits(needs resources.Amounts, fresh bool) int64 {
	if !n.known {
		return 0
	}
	slots := n.MaxPods - n.Pods
	slots = fit(slots, n.Allocatable.CPU-n.Held.CPU, needs.CPU)
	slots = fit(slots, n.Allocatable.Memory-n.Held.Memory, needs.Memory)
	slots = fit(slots, n.Allocatable.Storage-n.Held.Storage, needs.Storage)
	for _, d := range needs.Devices {
		slots = fit(slots, n.Usable(d.Resource, fresh), d.Count)
	}
	if len(needs.Devices) == 0 {
		slots = fit(slots, n.FreeCPU(fresh), needs.CPU)
	}
	return max(0, slots)
}

// FitsEmpty is how many pods with these needs an empty node could take, by what
// Kubernetes says it has.
func (n *Node) FitsEmpty(needs resources.Amounts) int64 {
	if !n.known {
		return 0
	}
	total := n.MaxPods
	for _, d := range needs.Devices {
		total = fit(total, n.Allocatable.Device(d.Resource), d.Count)
	}
	total = fit(total, n.Allocatable.CPU, needs.CPU)
	total = fit(total, n.Allocatable.Memory, needs.Memory)
	total = fit(total, n.Allocatable.Storage, needs.Storage)
	return max(0, total)
}

// fit is how often need goes into free, and at most slots. What is not needed
// limits nothing, not even where more is held than there is.
func fit(slots, free, need int64) int64 {
	if need <= 0 || slots <= 0 {
		return slots
	}
	if free < need {
		return 0
	}
	if need == 1 {
		return min(slots, free)
	}
	return min(slots, free/need)
}

// DevicesOf are the sample's devices served as one extended resource.
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

// withPod returns the node with old gone and p come in its place; either may be
// nil.
func (n *Node) withPod(old, p *Pod) *Node {
	heldSame := old != nil && p != nil && old.Needs.Equal(p.Needs)
	competes := old != nil && old.wantsAccelerator() || p != nil && p.wantsAccelerator()
	if heldSame && !competes {
		return n
	}
	m := *n
	if old != nil {
		m.Pods--
	}
	if p != nil {
		m.Pods++
	}
	if !heldSame {
		if old != nil {
			m.Held = m.Held.Plus(old.Needs, -1)
		}
		if p != nil {
			m.Held = m.Held.Plus(p.Needs, 1)
		}
	}
	if competes {
		m.Holders = make([]*Pod, 0, len(n.Holders)+1)
		for _, h := range n.Holders {
			if h != old {
				m.Holders = append(m.Holders, h)
			}
		}
		if p != nil && p.wantsAccelerator() {
			m.Holders = append(m.Holders, p)
		}
		m.updateBlocked()
	}
	return &m
}

// updateBlocked works out, on a record that is nobody else's yet, which slots the
// sample takes away: those of a device that no pod should be given, less what
// pods hold of them, which counts as held. Where the sample names the holders,
// one that has gone since gives its slots to nobody.
func (n *Node) updateBlocked() {
	n.blocked = resources.Amounts{}
	if n.Telemetry == nil {
		return
	}
	for _, d := range n.Telemetry.Devices {
		if d.Usable() || d.Resource == "" {
			continue
		}
		blocked := d.Blocked()
		for _, h := range d.Holders {
			if !n.holds(h) {
				blocked += h.Slots
			}
		}
		if blocked = min(blocked, d.Slots); blocked > 0 {
			n.blocked = n.blocked.Plus(resources.Amounts{Devices: []resources.Devices{{Resource: d.Resource, Count: int64(blocked)}}}, 1)
		}
	}
}

func (n *Node) holds(h accel.Holder) bool {
	return slices.ContainsFunc(n.Holders, func(p *Pod) bool { return p.Name == h.Pod && p.Namespace == h.Namespace })
}
