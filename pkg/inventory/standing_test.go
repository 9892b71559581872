package inventory

import (
	"fmt"
	"testing"
	"time"
)

// asked decides for a pod of a namespace that a caller announces.
func (w *world) asked(id, namespace, connection string, o Option) Candidate {
	q := Query{Namespace: namespace, Options: []Option{o}, Reservation: id, Caller: &Caller{Connection: connection}}
	return w.Decide(q, func([]Candidate) int { return 0 })
}

func (w *world) wantClaimed(t *testing.T, when string, want int64) {
	t.Helper()
	if got := w.look(wants(gpu)).Claimed; got != want {
		t.Errorf("%s: %d are claimed, want %d", when, got, want)
	}
}

// crowd has more GPUs than anybody reserves.
func crowd() *world {
	w := newWorld()
	for i := range 70 {
		w.SetNode(aNode(fmt.Sprint("g", i), has(gpu, 100)))
	}
	return w
}

// TestReservationsAreBounded: of a namespace, of strangers that claim, and of all
// strangers. What is past a bound is decided, and claims nothing.
func TestReservationsAreBounded(t *testing.T) {
	w := crowd()
	for i := range maxReserved + 10 {
		w.asked(fmt.Sprint("a", i), "default", "", wants(gpu))
	}
	w.wantClaimed(t, "one namespace", maxReserved)
	w.asked("b", "other", "", wants(gpu))
	w.wantClaimed(t, "another", maxReserved+1)
	for i := range maxUnproven + 10 {
		w.asked(fmt.Sprint("s", i), fmt.Sprint("ns-", i), fmt.Sprint("somebody ", i), wants(gpu))
	}
	w.wantClaimed(t, "strangers", maxReserved+1+maxUnproven)
	w.now = w.now.Add(overdueAfter + 1)
	for i := range maxStrangers + 10 {
		w.asked(fmt.Sprint("z", i), "default", "somebody", wants(gpu))
	}
	if n, want := w.Reservations(), maxReserved+10+1+maxStrangers; n != want {
		t.Errorf("%d reservations are kept, want %d", n, want)
	}
	w.now = w.now.Add(time.Minute)
	if n := w.Reservations(); n != 0 || len(w.queue) != 0 || len(w.reserved) != 0 || w.strangers != 0 || w.judged != 0 {
		t.Errorf("%d reservations, %d queued, %d namespaces, %d strangers, %d judged are left", n, len(w.queue), len(w.reserved), w.strangers, w.judged)
	}
	for i := range 2 * maxCallers {
		id := fmt.Sprint("c", i)
		w.asked(id, "default", id, wants(gpu))
		w.SetPod(aPod("p", asks(gpu, "1"), ours("GPU", id)))
	}
	if n := w.callers.proven.Len(); n != maxCallers {
		t.Errorf("%d connections are remembered, want %d", n, maxCallers)
	}
}

// TestOverdueIsBounded: of a flood the first are told of, and the others counted.
func TestOverdueIsBounded(t *testing.T) {
	w := crowd()
	for i := range maxOverdue + 10 {
		w.asked(fmt.Sprint(i), "default", "", wants(gpu))
	}
	w.now = w.now.Add(overdueAfter + 1)
	late, more := w.TakeOverdue()
	if len(late) != maxOverdue || more != 10 || late[0].Reservation != "0" {
		t.Errorf("%d overdue and %d more, the first %+v", len(late), more, late[0])
	}
}

// TestOfNamespacesThatAreThere: who may not be the API server reserves nothing for
// others.
func TestOfNamespacesThatAreThere(t *testing.T) {
	w := crowd()
	w.SetNamespace("default")
	w.asked("a", "made-up", "somebody", wants(gpu))
	if n := w.Reservations(); n != 0 {
		t.Errorf("%d reservations in a namespace that is not there", n)
	}
	w.asked("a", "just-created", "", wants(gpu))
	w.asked("b", "default", "somebody", wants(gpu))
	w.wantClaimed(t, "of the API server, and of one that is there", 2)
	w.DeleteNamespace("default")
	w.asked("c", "default", "somebody", wants(gpu))
	w.wantClaimed(t, "of one that is gone", 2)
}

// TestStrangers: what callers claim of whom nothing came yet ends when one of their
// pods is overdue; a connection that pods came of is not held to it.
func TestStrangers(t *testing.T) {
	w := crowd()
	confirm := func(id string) {
		w.SetPod(aPod("pod-"+id, asks(gpu, "1"), ours("GPU", id), on("g0")))
	}
	w.asked("first", "default", "api", wants(gpu))
	confirm("first")
	w.asked("slow", "default", "api", wants(gpu))
	w.asked("a", "default", "somebody", wants(gpu))
	w.now = w.now.Add(overdueAfter - time.Second)
	w.asked("b", "default", "somebody else", wants(gpu))
	w.asked("late", "default", "new", wants(gpu))
	w.wantClaimed(t, "before any is overdue", 4)
	w.now = w.now.Add(time.Second + 1)
	w.wantClaimed(t, "one is overdue", 1)
	if got := w.Trust(Caller{Connection: "new"}); got != Suspect || w.Trust(Caller{Connection: "api"}) != Trusted || w.Trust(Caller{}) != Trusted {
		t.Errorf("a caller of whom nothing came is %v", got)
	}
	w.asked("c", "default", "new", wants(gpu))
	w.wantClaimed(t, "one more", 1)
	confirm("late") // is its pod's all the same
	w.asked("d", "default", "new", wants(gpu))
	w.asked("e", "default", "somebody", wants(gpu))
	w.wantClaimed(t, "of a connection that a pod came of", 2)
	if w.Overdue() < 2 {
		t.Errorf("%d were overdue", w.Overdue())
	}
	if late, more := w.TakeOverdue(); len(late) < 2 || more != 0 || late[0].Reservation != "slow" || late[0].After != overdueAfter || late[0].For <= 0 {
		t.Errorf("what is told of them: %+v and %d more", late, more)
	}
	if late, _ := w.TakeOverdue(); len(late) != 0 {
		t.Errorf("told twice: %+v", late)
	}
	w.now = w.now.Add(forgetAfter + time.Minute)
	w.asked("f", "default", "somebody", wants(gpu))
	w.wantClaimed(t, "long after", 1)
	w.Abandon(Caller{Connection: "somebody else"}, "default", "f")
	w.wantClaimed(t, "on another's word", 1)
	w.Abandon(Caller{Connection: "somebody"}, "default", "f")
	w.wantClaimed(t, "on its own", 0)
	w.now = w.now.Add(overdueAfter + 1)
	if got := w.Trust(Caller{Connection: "somebody"}); got != Suspect {
		t.Errorf("after it changed its mind it is %v: it could claim for ever", got)
	}
	for i := range maxOverdueOfConnection {
		w.asked(fmt.Sprint("z", i), "default", "new", wants(gpu))
	}
	w.now = w.now.Add(overdueAfter + 1)
	if got := w.Trust(Caller{Connection: "new"}); got != Suspect {
		t.Errorf("a connection that no pods come of any more is %v", got)
	}
}

// TestPodsThatNeverCome: of a namespace whose pods somebody refuses, reservations
// claim less and less, and of others as ever.
func TestPodsThatNeverCome(t *testing.T) {
	w := crowd()
	w.asked("1", "default", "", wants(gpu))
	w.now = w.now.Add(overdueAfter + 1)
	w.wantClaimed(t, "one may be slow", 1)
	w.asked("2", "default", "", wants(gpu))
	w.now = w.now.Add(overdueAfter + 1)
	w.wantClaimed(t, "two are not", 1)
	w.asked("3", "default", "", wants(gpu))
	w.now = w.now.Add(overdueAfter + 1)
	w.wantClaimed(t, "the first is over as well", 0)
	w.asked("4", "default", "", wants(gpu))
	w.wantClaimed(t, "no more of these", 0)
	w.asked("x", "other", "", wants(gpu))
	w.reserve("own", wants(gpu))
	w.wantClaimed(t, "another namespace's, and our own", 2)
	w.SetPod(aPod("pod-4", asks(gpu, "1"), ours("GPU", "4"), on("g0")))
	w.asked("5", "default", "", wants(gpu))
	w.wantClaimed(t, "once a pod came", 3)
}

// TestAbandonedPodsThatCome: an owner that asks once more had its pod refused, or only
// waits for an informer. Nothing is held against its namespace when the pod comes.
func TestAbandonedPodsThatCome(t *testing.T) {
	w := crowd()
	for i := range 2 * maxOverdueOfNamespace {
		id := fmt.Sprint("r", i)
		w.asked(id, "default", "", wants(gpu))
		w.now = w.now.Add(1500 * time.Millisecond)
		w.Abandon(Caller{}, "default", id)
		w.wantClaimed(t, "it is abandoned", 0)
		pod := aPod("pod-"+id, asks(gpu, "1"), ours("GPU", id), on("g0"))
		w.SetPod(pod)
		w.DeletePod(pod.Namespace, pod.Name)
	}
	w.now = w.now.Add(overdueAfter + 1)
	w.asked("next", "default", "", wants(gpu))
	w.wantClaimed(t, "all pods came", 1)
	if n := w.Overdue(); n != 0 {
		t.Errorf("%d are overdue, want 0", n)
	}
}

// TestNamespacesThatGo: nothing is kept of a namespace that was deleted before its
// pods were overdue.
func TestNamespacesThatGo(t *testing.T) {
	w := crowd()
	for i := range 100 {
		ns := fmt.Sprint("ns", i)
		w.SetNamespace(ns)
		for j := range 4 {
			w.asked(fmt.Sprint(ns, "-", j), ns, "", wants(gpu))
		}
		w.DeleteNamespace(ns)
		w.now = w.now.Add(overdueAfter + 1)
		w.asked(ns, ns, "", wants(gpu))
	}
	w.now = w.now.Add(time.Hour)
	if w.Reservations(); len(w.standings) != 0 || len(w.reserved) != 0 {
		t.Errorf("%d standings and %d counts are kept", len(w.standings), len(w.reserved))
	}
}
