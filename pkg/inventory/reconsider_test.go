package inventory

import (
	"testing"

	"k8s.io/apimachinery/pkg/types"
)

// gained empties the signal and reports whether there was one.
func (w *world) gained() bool {
	select {
	case <-w.Wakeups():
		return true
	default:
		return false
	}
}

// TestReconsider: a pending pod does not see its own claim, the idle kind it is
// moved to is reserved, and no second pod gets the same device.
func TestReconsider(t *testing.T) {
	w := newWorld()
	w.SetNode(aNode("g", has(gpu, 1)))
	w.SetNode(aNode("n", has(npu, 1)))
	w.SetPod(aPod("holder", on("g"), asks(gpu, "1")))
	for _, name := range []string{"a", "b"} {
		w.SetPod(aPod(name, asks(gpu, "1"), ours("GPU", name)))
	}
	options := []Option{wants(gpu), wants(npu)}
	try := func(name, id string, uid types.UID) (idle []int64, ok bool) {
		_, ok = w.Reconsider(Query{Namespace: "default", Options: options, Reservation: id}, name, uid, func(c []Candidate) int {
			if c[0].Queued != 1 {
				t.Errorf("%s sees %d before it, want the other one alone", name, c[0].Queued)
			}
			idle = []int64{c[0].Idle(), c[1].Idle()}
			if c[1].Idle() == 0 {
				return -1
			}
			return 1
		})
		return idle, ok
	}
	uid := func(name string) types.UID { return w.Pod("default", name).UID }
	if _, ok := try("a", "hold-a", "another"); ok || w.Reservations() != 0 {
		t.Error("a pod of another UID was reconsidered")
	}
	if _, ok := try("holder", "hold-h", uid("holder")); ok {
		t.Error("a pod that does not wait was reconsidered")
	}
	if idle, ok := try("a", "hold-a", uid("a")); !ok || idle[0] != 0 || idle[1] != 1 {
		t.Errorf("a: %v, %v", idle, ok)
	}
	if idle, ok := try("b", "hold-b", uid("b")); ok || idle[1] != 0 || w.Reservations() != 1 {
		t.Errorf("b got the device held for a: %v, %v", idle, ok)
	}
	if c := w.look(wants(gpu)); c.Queued != 2 {
		t.Errorf("%d wait for the GPU, want both as before", c.Queued)
	}
	// The pod that comes instead finds what was held for it, and no other does.
	if c := w.look(wants(npu)); c.Idle() != 0 {
		t.Error("the NPU is idle for somebody else")
	}
	again := Query{Namespace: "default", Options: options[1:], Reservation: "again", Release: "hold-a"}
	if c := w.Decide(again, func([]Candidate) int { return 0 }); c.Idle() != 1 || w.Reservations() != 1 {
		t.Errorf("%d idle for the pod it was held for; %d reservations", c.Idle(), w.Reservations())
	}
	for i, c := range w.Candidates(Query{Options: options}) {
		if c.Idle() != 0 {
			t.Errorf("candidate %d is idle", i)
		}
	}
}

// TestWakeups: what may help a pending pod wakes, what cannot does not.
func TestWakeups(t *testing.T) {
	w := newWorld()
	for _, step := range []struct {
		name string
		do   func()
		want bool
	}{
		{"a node comes", func() { w.SetNode(aNode("g", has(gpu, 1))) }, true},
		{"it says the same again", func() { w.SetNode(aNode("g", has(gpu, 1))) }, false},
		{"a pod is bound", func() { w.SetPod(aPod("p", on("g"), asks(gpu, "1"))) }, false},
		{"a pod waits", func() { w.SetPod(aPod("q", asks(gpu, "1"), ours("GPU", "q"))) }, false},
		{"the first pod goes", func() { w.DeletePod("default", "p") }, true},
		{"the second is bound", func() { w.SetPod(aPod("q", on("g"), asks(gpu, "1"), ours("GPU", "q"))) }, true}, // its claim goes
		{"a device comes", func() { w.SetNode(aNode("g", has(gpu, 2))) }, true},
		{"a decision is reserved", func() { w.reserve("r", wants(gpu)) }, false},
		{"it is released", func() { w.Release("default", "r") }, true},
	} {
		w.gained()
		step.do()
		if got := w.gained(); got != step.want {
			t.Errorf("%s: %v, want %v", step.name, got, step.want)
		}
	}
}

// TestDecideIf: somebody who declines gets nothing reserved; of two who accept the second
// sees what the first has.
func TestDecideIf(t *testing.T) {
	w := newWorld()
	w.SetNode(aNode("g", has(gpu, 1)))
	try := func(id string, accept bool) (idle int64, ok bool) {
		_, ok = w.DecideIf(Query{Namespace: "default", Options: []Option{wants(gpu)}, Reservation: id}, func(c []Candidate) int {
			if idle = c[0].Idle(); !accept || idle == 0 {
				return -1
			}
			return 0
		})
		return idle, ok
	}
	if idle, ok := try("a", false); ok || idle != 1 || w.Reservations() != 0 {
		t.Errorf("declined: %d, %v, %d reservations", idle, ok, w.Reservations())
	}
	if idle, ok := try("b", true); !ok || idle != 1 || w.Reservations() != 1 {
		t.Errorf("accepted: %d, %v, %d reservations", idle, ok, w.Reservations())
	}
	if idle, ok := try("c", true); ok || idle != 0 {
		t.Errorf("the second: %d, %v", idle, ok)
	}
}
