package inventory

import (
	"testing"
	"time"
)

func TestReservation(t *testing.T) {
	w := newWorld()
	w.SetNode(aNode("g", has(gpu, 3)))
	claimed := func(want int64) {
		t.Helper()
		if got := w.look(wants(gpu)).Claimed; got != want {
			t.Errorf("claimed: got %d, want %d", got, want)
		}
	}
	w.look(wants(gpu))
	if n := w.Reservations(); n != 0 {
		t.Fatalf("a dry run made %d reservations", n)
	}
	w.reserve("a", wants(gpu))
	w.reserve("b", wants(gpu))
	w.reserve("b", wants(gpu)) // the same decision again replaces the first
	claimed(2)
	if kind, ok := w.Reserved("default", "a"); !ok || kind != "GPU" {
		t.Errorf("Reserved: got %q, %v", kind, ok)
	}
	if _, ok := w.Reserved("other", "a"); ok {
		t.Error("another namespace reads the reservation")
	}

	var admitted []string
	set := func(p *Pod) {
		if c := w.SetPod(p); c.Admitted {
			admitted = append(admitted, c.Record.Key())
		}
	}
	set(aPod("thief", in("other"), ours("GPU", "a")))
	set(aPod("unmarked", asks(gpu, "1"), func(p *podObject) {
		p.Annotations = map[string]string{"heteroaccel.io/reservation": "a"}
	}))
	w.DeletePod("default", "unmarked")
	w.DeletePod("other", "thief")
	if n := w.Reservations(); n != 2 || len(admitted) != 0 {
		t.Fatalf("somebody else's pod ended a reservation: %d left, admitted %v", n, admitted)
	}
	set(aPod("p", asks(gpu, "1"), ours("GPU", "a")))
	set(aPod("p", asks(gpu, "1"), ours("GPU", "a")))
	if len(admitted) != 1 || admitted[0] != "default/p" {
		t.Errorf("admitted: got %v, want default/p once", admitted)
	}
	claimed(2) // p waits, b is reserved
	w.SetPod(aPod("p", on("g"), asks(gpu, "1"), ours("GPU", "a")))
	claimed(1) // b

	w.now = w.now.Add(30 * time.Second)
	w.reserve("c", wants(gpu))
	claimed(2)
	w.now = w.now.Add(1)
	if _, ok := w.Reserved("default", "b"); ok {
		t.Error("b is reserved for longer than 30 s")
	}
	claimed(1)
	w.now = w.now.Add(30 * time.Second)
	claimed(0)
	if n := w.Reservations(); n != 0 {
		t.Errorf("%d reservations left", n)
	}
	if len(w.claiming) != 0 || len(w.pending) != 0 {
		t.Errorf("%d classes have claims and %d pods are pending, want none", len(w.claiming), len(w.pending))
	}
}

// TestReleaseAll: what an earlier term reserved claims nothing in the next, and the
// pods of it that came count as any.
func TestReleaseAll(t *testing.T) {
	w := newWorld()
	w.SetNode(aNode("g", has(gpu, 4)))
	for _, id := range []string{"a", "b", "c"} {
		w.reserve(id, wants(gpu))
	}
	w.SetPod(aPod("p", asks(gpu, "1"), ours("GPU", "a")))
	w.ReleaseAll()
	if got := w.look(wants(gpu)).Claimed; got != 1 || w.Reservations() != 0 {
		t.Errorf("%d claimed and %d reservations, want the one pod and none", got, w.Reservations())
	}
	if c := w.SetPod(aPod("late", asks(gpu, "1"), ours("GPU", "b"))); c.Admitted {
		t.Error("a pod ended a reservation of an earlier term")
	}
	w.now = w.now.Add(time.Minute)
	w.reserve("d", wants(gpu))
	if got := w.look(wants(gpu)).Claimed; got != 3 {
		t.Errorf("%d claimed, want two pods and a reservation", got)
	}
}

// TestFromDecisionToFree follows a pod all the way: its device is never counted
// twice, and never forgotten in between.
func TestFromDecisionToFree(t *testing.T) {
	w := newWorld()
	w.SetNode(aNode("g", has(gpu, 2)))
	idle := func(step string, want int64) {
		t.Helper()
		if got := w.look(wants(gpu)).Idle(); got != want {
			t.Errorf("%s: %d idle, want %d", step, got, want)
		}
	}
	idle("before", 2)
	w.reserve("r", wants(gpu))
	idle("decided", 1)
	w.SetPod(aPod("p", asks(gpu, "1"), ours("GPU", "r")))
	idle("seen", 1)
	w.SetPod(aPod("p", on("g"), asks(gpu, "1"), ours("GPU", "r")))
	idle("bound", 1)
	w.SetPod(aPod("p", on("g"), asks(gpu, "1"), ours("GPU", "r"), since(w.now)))
	idle("running", 1)
	w.SetPod(aPod("p", on("g"), asks(gpu, "1"), ours("GPU", "r"), phase("Succeeded")))
	idle("ended", 2)
	w.DeletePod("default", "p")
	idle("deleted", 2)
}

// TestProlong: a reservation of our own lives as long again each time, in its place among the
// others, and claims all the while.
func TestProlong(t *testing.T) {
	w := newWorld()
	w.SetNode(aNode("g", has(gpu, 2)))
	w.reserve("kept", wants(gpu))
	w.reserve("other", wants(gpu))
	for range 4 {
		w.now = w.now.Add(20 * time.Second)
		w.Prolong("default", "kept")
		w.Prolong("another", "other") // of another namespace
	}
	if _, ok := w.Reserved("default", "kept"); !ok || w.Reservations() != 1 || w.look(wants(gpu)).Claimed != 1 {
		t.Errorf("there are %d reservations, want the one that was prolonged", w.Reservations())
	}
	w.now = w.now.Add(31 * time.Second)
	w.Prolong("default", "kept") // too late
	if n := w.Reservations(); n != 0 || w.look(wants(gpu)).Claimed != 0 {
		t.Errorf("%d reservations are left", n)
	}
}
