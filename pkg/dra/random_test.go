package dra

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"

	resourcev1 "k8s.io/api/resource/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// history is all that a store was told: the last of each object.
type history struct {
	slices  map[string]*resourcev1.ResourceSlice
	classes map[string]bool
	rules   map[string]*resourcev1.DeviceTaintRule
	claims  map[string]*resourcev1.ResourceClaim
}

// step makes one random event happen to both.
func (h *history) step(r *rand.Rand, w *world) string {
	node, claim := fmt.Sprint("n", r.IntN(3)), fmt.Sprint("c", r.IntN(8))
	class, rule := []string{"GPU", "NPU"}[r.IntN(2)], fmt.Sprint("r", r.IntN(2))
	switch r.IntN(12) {
	case 0, 1, 2, 3:
		s := randomSlice(r, node)
		h.slices[s.Name] = s
		w.SetSlice(s)
		return fmt.Sprintf("slice %s of generation %d with %d devices", s.Name, s.Spec.Pool.Generation, len(s.Spec.Devices))
	case 4:
		name := node + fmt.Sprint(r.IntN(2))
		delete(h.slices, name)
		w.DeleteSlice(name)
		return "no slice " + name
	case 5, 6, 7:
		c := aClaim(claim, "", node, fmt.Sprint("d", r.IntN(4)))
		if r.IntN(2) == 0 {
			c.Status.Allocation.Devices.Results[0].ConsumedCapacity = map[resourcev1.QualifiedName]resource.Quantity{"slots": resource.MustParse(fmt.Sprint(1 + r.IntN(2)))}
		}
		if r.IntN(4) == 0 {
			c.Status.Allocation = nil
		}
		h.claims[claim] = c
		w.SetClaim(c)
		return "claim " + claim
	case 8:
		delete(h.claims, claim)
		w.DeleteClaim("default", claim)
		return "no claim " + claim
	case 9:
		if h.classes[class] = r.IntN(3) > 0; h.classes[class] {
			w.SetClass(ofKind(class))
		} else {
			w.DeleteClass(class)
		}
		return fmt.Sprintf("class %s: %v", class, h.classes[class])
	case 10:
		t := &resourcev1.DeviceTaintRule{ObjectMeta: metav1.ObjectMeta{Name: rule}, Spec: resourcev1.DeviceTaintRuleSpec{
			DeviceSelector: &resourcev1.DeviceTaintSelector{Pool: &node, Device: new(fmt.Sprint("d", r.IntN(4)))},
			Taint:          resourcev1.DeviceTaint{Key: "k", Effect: []resourcev1.DeviceTaintEffect{"None", "NoSchedule"}[r.IntN(2)]},
		}}
		h.rules[rule] = t
		w.SetTaintRule(t)
		return "rule " + rule
	default:
		delete(h.rules, rule)
		w.DeleteTaintRule(rule)
		return "no rule " + rule
	}
}

func randomSlice(r *rand.Rand, node string) *resourcev1.ResourceSlice {
	part := r.IntN(2)
	s := named(node+fmt.Sprint(part), aSlice(node, nil, ofPool(r.Int64N(2), 1+r.Int64N(2))))
	for i := range 2 {
		options := []deviceOption{}
		if r.IntN(3) == 0 {
			options = append(options, tainted([]resourcev1.DeviceTaintEffect{"None", "NoSchedule", "NoExecute"}[r.IntN(3)]))
		}
		if r.IntN(3) == 0 {
			options = append(options, shared("3"))
		}
		s.Spec.Devices = append(s.Spec.Devices, aDevice(fmt.Sprint("d", 2*part+i), []string{"GPU", "NPU"}[r.IntN(2)], options...))
	}
	return s
}

// numbers computes those of a node and a class from scratch. Devices here are shared
// with 3 slots or not at all.
func (h *history) numbers(node, class string) (n numbers) {
	newest, complete := int64(-1), int64(0)
	for _, s := range h.slices {
		if *s.Spec.NodeName == node {
			newest = max(newest, s.Spec.Pool.Generation)
		}
	}
	var of []*resourcev1.ResourceSlice
	for _, name := range []string{node + "0", node + "1"} {
		if s := h.slices[name]; s != nil && s.Spec.Pool.Generation == newest {
			of = append(of, s)
			complete = s.Spec.Pool.ResourceSliceCount
		}
	}
	if len(of) == 2 && of[0].Spec.Pool.ResourceSliceCount != of[1].Spec.Pool.ResourceSliceCount || int64(len(of)) != complete || !h.classes[class] {
		return numbers{}
	}
	for _, s := range of {
		for _, d := range s.Spec.Devices {
			if *d.Attributes["kind"].StringValue != class {
				continue
			}
			slots, held := int64(1), int64(0)
			if d.AllowMultipleAllocations != nil {
				slots = 3
			}
			for _, c := range h.claims {
				if c.Status.Allocation == nil || c.Status.Allocation.Devices.Results[0].Pool != node || c.Status.Allocation.Devices.Results[0].Device != d.Name {
					continue
				}
				takes := int64(1)
				if q, ok := c.Status.Allocation.Devices.Results[0].ConsumedCapacity["slots"]; ok && slots == 3 {
					takes = q.Value()
				}
				held += takes
			}
			bad := false
			for _, t := range d.Taints {
				bad = bad || t.Effect != "None"
			}
			for _, rule := range h.rules {
				bad = bad || rule.Spec.Taint.Effect != "None" && *rule.Spec.DeviceSelector.Pool == node && *rule.Spec.DeviceSelector.Device == d.Name
			}
			n.capacity, n.held = n.capacity+slots, n.held+held
			if bad {
				n.usable -= max(0, slots-held)
			} else {
				n.allocatable += slots
			}
		}
	}
	n.usable = max(0, n.usable+n.capacity-n.held)
	return n
}

// TestAnyOrderOfEvents: whatever happens in whatever order, the inventory has what
// counting the last of each object gives.
func TestAnyOrderOfEvents(t *testing.T) {
	for seed := range 10 {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			r := rand.New(rand.NewPCG(uint64(seed), 1))
			w := newWorld()
			h := &history{map[string]*resourcev1.ResourceSlice{}, map[string]bool{}, map[string]*resourcev1.DeviceTaintRule{}, map[string]*resourcev1.ResourceClaim{}}
			var log []string
			seen := 0
			for range 200 {
				log = append(log, h.step(r, w))
				for _, node := range []string{"n0", "n1", "n2"} {
					for _, class := range []string{"GPU", "NPU"} {
						want := h.numbers(node, class)
						if w.want(t, node, class, want); t.Failed() {
							t.Fatalf("after %d events, the last of them:\n%s", len(log), strings.Join(log[max(0, len(log)-8):], "\n"))
						}
						if want.held > 0 {
							seen++
						}
					}
				}
			}
			if seen == 0 {
				t.Error("nothing was ever held")
			}
			for name := range h.slices {
				w.DeleteSlice(name)
			}
			for name := range h.claims {
				w.DeleteClaim("default", name)
			}
			for name := range h.rules {
				w.DeleteTaintRule(name)
			}
			w.DeleteClass("GPU")
			w.DeleteClass("NPU")
			w.empty(t)
		})
	}
}

// TestFeedsAtOnce: each feed calls from a goroutine of its own, and the numbers are
// right once all have.
func TestFeedsAtOnce(t *testing.T) {
	w := newWorld()
	slice := aSlice("n0", devices(aDevice("a", "GPU"), aDevice("b", "GPU")))
	var all sync.WaitGroup
	for _, f := range []func(){
		func() { w.SetSlice(slice) },
		func() { w.SetClass(ofKind("GPU")) },
		func() { w.SetClaim(aClaim("c", "p", "n0", "a")) },
		func() { w.DeleteTaintRule("none") },
	} {
		all.Go(func() {
			for range 100 {
				f()
			}
		})
	}
	all.Wait()
	w.want(t, "n0", "GPU", numbers{2, 2, 1, 1})
}
