package inventory

import (
	"fmt"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"heteroaccel.io/pkg/accel"
	"heteroaccel.io/pkg/telemetry"
)

// lateWorld has one node with two GPUs of a DeviceClass.
func lateWorld() *world {
	w := newWorld()
	w.SetNode(aNode("n"))
	w.SetSlots("n", Slots{Capacity: slotsOf(gpuClass, 2), Allocatable: slotsOf(gpuClass, 2)})
	return w
}

// allocated is the claim of a pod, which holds a GPU.
func allocated(pod string) Allocation {
	return Allocation{Namespace: "default", Name: "ha-" + pod, Pod: pod, UID: aPod(pod).UID, Node: "n", Holds: slotsOf(gpuClass, 1)}
}

// TestALatePodCountsOnce follows a pod and its claim through every order in which their
// feeds can show them: as long as the pod or the claim is there, one of two GPUs is
// taken, claimed or held.
func TestALatePodCountsOnce(t *testing.T) {
	pod := func(options ...podOption) func(*world) {
		return func(w *world) { w.SetPod(aPod("p", append(options, late("GPU", "ha-p"))...)) }
	}
	pending, bound, ended := pod(), pod(on("n")), pod(on("n"), phase(corev1.PodSucceeded))
	gone := func(w *world) { w.DeletePod("default", "p") }
	allocate := func(w *world) { w.SetAllocation(allocated("p")) }
	deallocate := func(w *world) { w.DeleteAllocation("default", "ha-p") }
	type step struct {
		do   func(*world)
		idle int64
	}
	tests := map[string][]step{
		"claim first":                           {{pending, 1}, {allocate, 1}, {bound, 1}, {deallocate, 2}, {ended, 2}, {gone, 2}},
		"pod first":                             {{pending, 1}, {bound, 1}, {allocate, 1}, {ended, 1}, {gone, 1}, {deallocate, 2}},
		"the claim before the pod is shown":     {{allocate, 1}, {pending, 1}, {bound, 1}, {gone, 1}, {deallocate, 2}},
		"bound when it is shown first":          {{bound, 1}, {allocate, 1}, {deallocate, 2}, {gone, 2}},
		"deallocated while unbound":             {{pending, 1}, {allocate, 1}, {deallocate, 1}, {allocate, 1}, {bound, 1}, {ended, 1}, {deallocate, 2}},
		"gone before its claim is":              {{pending, 1}, {allocate, 1}, {gone, 1}, {deallocate, 2}},
		"never allocated":                       {{pending, 1}, {gone, 2}},
		"shown again":                           {{pending, 1}, {allocate, 1}, {allocate, 1}, {bound, 1}, {bound, 1}, {allocate, 1}, {gone, 1}, {deallocate, 2}, {deallocate, 2}},
		"held by a claim that nobody asked for": {{allocate, 1}, {deallocate, 2}},
	}
	for name, steps := range tests {
		t.Run(name, func(t *testing.T) {
			w := lateWorld()
			for i, s := range steps {
				s.do(w)
				c := w.look(wants(gpuClass))
				if c.Idle() != s.idle || c.Queued != 0 {
					t.Errorf("step %d: %d idle of %+v, want %d", i, c.Idle(), sumsOf(c), s.idle)
				}
			}
		})
	}
}

// TestAllocationsOfOthers: a claim counts once it is allocated, whoever asked for it;
// and where kube-scheduler made it for what a pod requests, that counts no more.
func TestAllocationsOfOthers(t *testing.T) {
	tests := map[string]struct {
		pod         func(*corev1.Pod)
		forExtended bool
		// idle GPUs before it is allocated, while it is, and once the pod is bound
		idle [3]int64
	}{
		"a claim of its own":        {usesClaim, false, [3]int64{2, 1, 1}},
		"a class by implicit name":  {asks(gpuClass, "1"), true, [3]int64{1, 1, 1}},
		"that and a claim":          {asks(gpuClass, "1"), false, [3]int64{1, 0, 0}},
		"another extended resource": {asks(npu, "1"), true, [3]int64{2, 1, 1}},
		"another's pod":             {func(*corev1.Pod) {}, false, [3]int64{2, 1, 1}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			w := lateWorld()
			a := allocated("p")
			a.ForExtended = tt.forExtended
			for i, do := range []func(){
				func() { w.SetPod(aPod("p", tt.pod)) },
				func() { w.SetAllocation(a) },
				func() { w.SetPod(aPod("p", tt.pod, on("n"))) },
			} {
				do()
				if got := w.look(wants(gpuClass)).Idle(); got != tt.idle[i] {
					t.Errorf("step %d: %d idle, want %d", i, got, tt.idle[i])
				}
			}
		})
	}
}

// TestWhoHoldsByClaim: whoever waits is told how long the pods run that hold the class,
// by what their claims hold.
func TestWhoHoldsByClaim(t *testing.T) {
	for name, pod := range map[string]podOption{"late": late("GPU", "ha-p"), "a claim of its own": usesClaim, "by implicit name": asks(gpuClass, "1")} {
		for _, first := range []string{"pod", "claim"} {
			t.Run(name+", the "+first+" first", func(t *testing.T) {
				w := lateWorld()
				show := []func(){
					func() { w.SetPod(aPod("p", pod, on("n"), since(w.now.Add(-time.Minute)))) },
					func() {
						a := allocated("p")
						a.Holds, a.ForExtended = slotsOf(gpuClass, 2), name == "by implicit name"
						w.SetAllocation(a)
					},
				}
				if first == "claim" {
					show[0], show[1] = show[1], show[0]
				}
				show[0]()
				show[1]()
				c := w.look(wants(gpuClass))
				if len(c.Running) != 2 || c.Running[0].Elapsed != time.Minute || c.Ending != 2 {
					t.Errorf("running %+v, %d ending, want what the claim holds, 2, for a minute", c.Running, c.Ending)
				}
				w.DeleteAllocation("default", "ha-p")
				if c := w.look(wants(gpuClass)); c.Ending != 0 || c.Idle() != 2 {
					t.Errorf("once deallocated: %d ending, %d idle", c.Ending, c.Idle())
				}
			})
		}
	}
}

// TestSlots: of a class's devices what is not held is usable, but for tainted ones,
// whatever the telemetry says of them.
func TestSlots(t *testing.T) {
	tests := map[string]struct {
		capacity, allocatable, blocked, held int64
		total, usable                        int64
	}{
		"idle":                    {2, 2, 0, 0, 2, 2},
		"one held":                {2, 2, 0, 1, 2, 1},
		"one tainted":             {2, 1, 1, 0, 1, 1},
		"one tainted while held":  {2, 1, 0, 1, 1, 1},
		"one held, other tainted": {2, 1, 1, 1, 1, 0},
		"all tainted":             {2, 0, 2, 0, 0, 0},
		"more held than there is": {1, 1, 0, 2, 1, 0},
	}
	for name, tt := range tests {
		for _, first := range []string{"node", "slots"} {
			t.Run(name+", "+first+" first", func(t *testing.T) {
				w := newWorld()
				show := func() { w.SetNode(aNode("n", has(gpu, 1))) }
				if first == "node" {
					show()
				}
				w.SetSlots("n", Slots{slotsOf(gpuClass, tt.capacity), slotsOf(gpuClass, tt.allocatable), slotsOf(gpuClass, tt.blocked)})
				if tt.held > 0 {
					w.SetAllocation(Allocation{Name: "c", Node: "n", Holds: slotsOf(gpuClass, tt.held)})
				}
				if first != "node" {
					show()
				}
				for _, what := range []string{"without telemetry", "with telemetry"} {
					c := w.look(wants(gpuClass))
					if c.Usable != tt.usable || c.Total != tt.total {
						t.Errorf("%s: usable %d of %d, want %d of %d", what, c.Usable, c.Total, tt.usable, tt.total)
					}
					w.SetTelemetry(telemetry.Scrape{Node: "n", Time: w.now, Devices: []accel.Device{device("0", gpuClass, unhealthy), device("1", gpuClass)}})
				}
				w.SetSlots("n", Slots{})
				wantSums(t, w.look(wants(gpuClass)), sums{})
				if c := w.look(wants(gpu)); c.Usable != 1 {
					t.Errorf("%d usable of what a device plugin serves, want 1", c.Usable)
				}
			})
		}
	}
}

// TestSlotsAndAllocationsWake: what may let a pending pod find something wakes, and what
// takes a device does not.
func TestSlotsAndAllocationsWake(t *testing.T) {
	one, two := slotsOf(gpuClass, 1), slotsOf(gpuClass, 2)
	tests := map[string]struct {
		do   func(w *world)
		wake bool
	}{
		"a device appears":       {func(w *world) { w.SetSlots("n", Slots{slotsOf(gpuClass, 3), slotsOf(gpuClass, 3), one}) }, true},
		"a taint goes":           {func(w *world) { w.SetSlots("n", Slots{Capacity: two, Allocatable: two}) }, true},
		"a claim is deallocated": {func(w *world) { w.DeleteAllocation("default", "other") }, true},
		"a claim is allocated":   {func(w *world) { w.SetAllocation(allocated("p")) }, false},
		"it is shown again": {func(w *world) {
			w.SetAllocation(Allocation{Namespace: "default", Name: "other", Node: "n", Holds: one})
		}, false},
		"the pod's own claim is": {func(w *world) {
			w.SetAllocation(Allocation{Namespace: "default", Name: "ha-bound", Pod: "bound", UID: "uid-bound", Node: "n", Holds: one})
		}, false},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			w := newWorld()
			w.SetNode(aNode("n"))
			w.SetSlots("n", Slots{two, two, one})
			w.SetAllocation(Allocation{Namespace: "default", Name: "other", Node: "n", Holds: one})
			w.SetPod(aPod("bound", on("n"), late("GPU", "ha-bound")))
			w.look(wants(gpuClass))
			select {
			case <-w.Wakeups():
			default:
			}
			tt.do(w)
			woken := false
			select {
			case <-w.Wakeups():
				woken = true
			default:
			}
			if woken != tt.wake {
				t.Errorf("woken: %v, want %v", woken, tt.wake)
			}
		})
	}
}

// TestSharedClaims: what several pods of a claim count, and pods that say they have the
// same one.
func TestSharedClaims(t *testing.T) {
	w := lateWorld()
	for i := range 3 {
		w.SetPod(aPod(fmt.Sprint("p", i), late("GPU", "ha-p"), on("n")))
	}
	a := allocated("p")
	a.Pod, a.UID = "", ""
	w.SetAllocation(a)
	if n := w.Lookup([]string{"n"})[0]; n.Held.Device(gpuClass) != 1 {
		t.Errorf("three pods of one claim hold %d, want 1", n.Held.Device(gpuClass))
	}
	for i := range 3 {
		w.DeletePod("default", fmt.Sprint("p", i))
	}
	w.DeleteAllocation("default", "ha-p")
	if len(w.allocations.late) != 0 {
		t.Errorf("left behind: %v", w.allocations.late)
	}
}

// TestManyImplicitClasses: of a pod that requests more DeviceClasses than there can be
// the first are counted.
func TestManyImplicitClasses(t *testing.T) {
	p := aPod("p", func(p *corev1.Pod) {
		for i := range 10 * MaxDevices {
			asks(fmt.Sprintf("%s%03d", gpuClass, i), "1")(p)
		}
	})
	if n := len(p.Needs.Devices); n != MaxDevices {
		t.Errorf("%d classes are counted, want %d", n, MaxDevices)
	}
	if first := p.Needs.Devices[0].Resource; first != gpuClass+"000" {
		t.Errorf("the first is %s", first)
	}
}
