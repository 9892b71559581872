package inventory

import (
	"cmp"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"heteroaccel.io/pkg/accel"
	"heteroaccel.io/pkg/record"
	"heteroaccel.io/pkg/resources"
)

var gpuClass, npuClass = accel.ClassResource("gpu.example.com"), accel.ClassResource("npu.example.com")

// late makes a pod one that the webhook binds late: to a device of the class of its
// kind, by a claim.
func late(kind accel.Kind, claim string) podOption {
	return func(p *corev1.Pod) {
		given := record.Given{Container: "c", Inference: "faces", Kind: kind, Claim: claim,
			Class: map[accel.Kind]string{"GPU": "gpu.example.com", "NPU": "npu.example.com", accel.CPU: "cpu.example.com"}[kind]}
		content, err := json.Marshal(given)
		if err != nil {
			panic(err)
		}
		p.Annotations = map[string]string{
			accel.ReservationAnnotation: claim,
			accel.OriginalAnnotation:    record.Seal(string(content), testKey, p.Namespace, claim),
		}
		p.Spec.ResourceClaims = []corev1.PodResourceClaim{{Name: "accelerator", ResourceClaimName: &claim}}
	}
}

func usesClaim(p *corev1.Pod) {
	p.Spec.ResourceClaims = []corev1.PodResourceClaim{{Name: "own", ResourceClaimName: new("own")}}
}

func slotsOf(resource string, count int64) resources.Amounts {
	return resources.Amounts{}.With(resource, count)
}

// claimHistory is what an inventory was told of slots and allocations: the last of each.
type claimHistory struct {
	slots map[string]Slots
	// by the claim's name
	allocations map[string]Allocation
	// which claims, and generated ones, were seen allocated of a pod since it is bound
	seen map[string]seenClaims
}

type seenClaims struct {
	uid               types.UID
	claim             string
	allocated, extend bool
	granted           *Allocation
}

func newClaimHistory() claimHistory {
	return claimHistory{map[string]Slots{}, map[string]Allocation{}, map[string]seenClaims{}}
}

func claimName(r *rand.Rand) string { return fmt.Sprint("ha-", r.IntN(12)) }

// step makes an event of slots or allocations happen to both.
func (h *claimHistory) step(r *rand.Rand, w *world, node, pod string) string {
	switch e := r.IntN(10); {
	case e < 2:
		var s Slots
		for _, class := range []string{npuClass, gpuClass} {
			if n := r.Int64N(4); n > 0 {
				free := r.Int64N(n + 1)
				s.Capacity, s.Allocatable = s.Capacity.With(class, n), s.Allocatable.With(class, free)
				s.Blocked = s.Blocked.With(class, r.Int64N(n-free+1))
			}
		}
		h.slots[node] = s
		w.SetSlots(node, s)
		return fmt.Sprintf("slots of %s %+v", node, s)
	case e < 7:
		a := Allocation{Namespace: "default", Name: claimName(r), Node: node, ForExtended: r.IntN(3) == 0,
			Holds: slotsOf([]string{gpuClass, npuClass}[r.IntN(2)], 1+r.Int64N(2))}
		if r.IntN(4) == 0 {
			a.Holds = a.Holds.With(npuClass, 1) // it matches another class too
		}
		if r.IntN(6) == 0 {
			a.Node, a.Holds = "", resources.Amounts{}
		}
		if r.IntN(3) > 0 {
			a.Pod, a.UID = pod, types.UID("uid-"+pod)
		}
		h.allocations[a.Name] = a
		w.SetAllocation(a)
		return fmt.Sprintf("allocation %+v", a)
	default:
		name := claimName(r)
		delete(h.allocations, name)
		w.DeleteAllocation("default", name)
		return "no allocation " + name
	}
}

// observe notes which claims of bound pods are allocated.
func (h *claimHistory) observe(pods map[string]*Pod) {
	for key, old := range h.seen {
		if p := pods[key]; p == nil || p.Node == "" || p.UID != old.uid {
			delete(h.seen, key)
		}
	}
	for key, p := range pods {
		if p.Node == "" {
			continue
		}
		s := h.seen[key]
		if s.claim != p.Claim {
			s.claim, s.allocated, s.granted = p.Claim, false, nil
		}
		s.uid = p.UID
		s.allocated = s.allocated || h.allocated(p)
		s.granted = cmp.Or(h.granted(p), s.granted)
		s.extend = p.claims != nil && (s.extend || h.extended(p))
		h.seen[key] = s
	}
}

func (h *claimHistory) allocated(p *Pod) bool {
	_, ok := h.allocations[p.Claim]
	return ok && p.Claim != ""
}

// granted is what the claim of a pod has of a node's devices for that pod, or nil.
func (h *claimHistory) granted(p *Pod) *Allocation {
	a := h.allocations[p.Claim]
	if p.Claim == "" || a.Node == "" || a.Pod != p.Name || a.UID != p.UID {
		return nil
	}
	return &a
}

func (h *claimHistory) extended(p *Pod) bool {
	for _, a := range h.allocations {
		if a.ForExtended && a.Pod == p.Name && a.UID == p.UID {
			return true
		}
	}
	return false
}

// record is a pod's record, computed from scratch.
func (h *claimHistory) record(p *Pod) *Pod {
	if p.claims == nil {
		return p
	}
	m, c := *p, *p.claims
	s := h.seen[p.Key()]
	c.allocated, c.extendedAllocated = h.allocated(p) || s.allocated, h.extended(p) || s.extend
	c.counts = resources.Amounts{CPU: p.Needs.CPU, Memory: p.Needs.Memory}
	for _, d := range p.Needs.Devices {
		if c.allocated && d.Resource == c.class {
			d.Count--
		}
		if c.extendedAllocated {
			d.Count -= c.implicit.Device(d.Resource)
		}
		if d.Count > 0 {
			c.counts = c.counts.With(d.Resource, d.Count)
		}
	}
	c.holds = c.counts
	for _, a := range h.allocations {
		if a.Pod == p.Name && a.UID == p.UID {
			for _, d := range a.Holds.Devices {
				c.holds = c.holds.With(d.Resource, d.Count)
			}
		}
	}
	c.granted, c.grantedOn = resources.Amounts{}, ""
	if a := cmp.Or(h.granted(p), s.granted); a != nil {
		c.granted, c.grantedOn = a.Holds, a.Node
	}
	c.releases = resources.Amounts{}
	for _, a := range h.allocations {
		if p.Done && p.Node != "" && a.Node == p.Node && a.Pod == p.Name && a.UID == p.UID {
			c.releases = sum(c.releases, a.Holds)
		}
	}
	m.claims = &c
	return &m
}

// addTo adds to a node's record what slots and allocations do.
func (h *claimHistory) addTo(n *Node) {
	s := h.slots[n.Name]
	for _, d := range s.Capacity.Devices {
		n.Capacity = n.Capacity.With(d.Resource, d.Count)
		n.Allocatable = n.Allocatable.With(d.Resource, s.Allocatable.Device(d.Resource))
	}
	n.blockedSlots = s.Blocked
	for _, a := range h.allocations {
		if a.Node == n.Name {
			n.allocations++
			n.Held = n.Held.Plus(a.Holds, 1)
		}
	}
}

// tell tells an inventory that has the pods.
func (h *claimHistory) tell(w *world, pods map[string]*Pod) {
	for node, s := range h.slots {
		w.SetSlots(node, s)
	}
	for key, s := range h.seen {
		p := pods[key]
		if s.granted != nil && h.granted(p) == nil {
			w.SetAllocation(*s.granted)
			w.DeleteAllocation(p.Namespace, p.Claim)
		}
		if s.allocated && !h.allocated(p) {
			w.SetAllocation(Allocation{Namespace: p.Namespace, Name: p.Claim, Node: p.Node})
			w.DeleteAllocation(p.Namespace, p.Claim)
		}
		if s.extend {
			w.SetAllocation(Allocation{Namespace: p.Namespace, Name: "gone", Pod: p.Name, UID: p.UID, ForExtended: true, Node: p.Node})
			w.DeleteAllocation(p.Namespace, "gone")
		}
	}
	for _, a := range h.allocations {
		w.SetAllocation(a)
	}
}

// empty ends every allocation: nothing may be left.
func (h *claimHistory) empty(t *testing.T, w *world) {
	t.Helper()
	for name := range h.allocations {
		w.DeleteAllocation("default", name)
	}
	for node := range h.slots {
		w.SetSlots(node, Slots{})
	}
	if a := w.allocations; len(a.byName) != 0 || len(a.ofPod) != 0 || len(a.late) != 0 || len(w.slots) != 0 {
		t.Errorf("left behind: %+v, slots %+v", a, w.slots)
	}
}
