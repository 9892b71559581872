package inventory

import (
	"fmt"
	"slices"
	"testing"
)

func TestTablesAreBounded(t *testing.T) {
	w := newWorld()
	w.SetNode(aNode("g", has(gpu, 2)))
	w.SetPod(aPod("p", asks(gpu, "1"), asks("memory", "1Gi")))
	ask := func(i int) Candidate { return w.look(wants(gpu, asks("memory", fmt.Sprint(1+i)))) }
	for i := range 3 * maxTables {
		wantSums(t, ask(i), sums{Nodes: 1, Stale: 1, Total: 2, Usable: 2, Claimed: 1})
	}
	if len(w.withTable) != maxTables || len(w.classes) != maxTables+1 || len(w.eligible) != 1 {
		t.Errorf("%d tables, %d classes, %d sets of eligible nodes, want %d, one more for the pending pod, and 1",
			len(w.withTable), len(w.classes), len(w.eligible), maxTables)
	}
	w.SetNode(aNode("h", has(gpu, 1)))
	for _, i := range []int{0, 3*maxTables - 1} { // one dropped and one kept
		wantSums(t, ask(i), sums{Nodes: 2, Stale: 2, Total: 3, Usable: 3, Claimed: 1})
	}
	many := Query{Namespace: "default", Reservation: "r"}
	for i := range 2 * maxTables {
		many.Options = append(many.Options, wants(npu, asks("memory", fmt.Sprint(1+i))))
	}
	w.Decide(many, func([]Candidate) int { return 0 })
	w.DeletePod("default", "p")
	if n := w.Reservations(); n != 1 || len(w.claiming) != 1 {
		t.Errorf("%d reservations in %d classes, want 1 in 1", n, len(w.claiming))
	}
}

func TestTheIndexOfADeletedNodeIsReused(t *testing.T) {
	w := newWorld()
	tied := wants(gpu, selects("room", "1"))
	for _, name := range []string{"a", "b", "c"} {
		w.SetNode(aNode(name, has(gpu, 1), labelled("room", "1")))
	}
	w.look(tied)
	w.DeleteNode("b")
	w.SetPod(aPod("p", on("d"), asks(gpu, "1"))) // d is not yet seen, and will be in another room
	wantSums(t, w.look(tied), sums{Nodes: 2, Stale: 2, Total: 2, Usable: 2})
	w.SetNode(aNode("d", has(gpu, 2), labelled("room", "2")))
	wantSums(t, w.look(tied), sums{Nodes: 2, Stale: 2, Total: 2, Usable: 2})
	wantSums(t, w.look(wants(gpu)), sums{Nodes: 3, Stale: 3, Total: 4, Usable: 3})
	if len(w.byIndex) != 3 {
		t.Errorf("%d indexes for 3 nodes", len(w.byIndex))
	}
}

func TestNodeSet(t *testing.T) {
	var s, o nodeSet
	for _, p := range []int{0, 63, 64, 200} {
		s.set(p, true)
	}
	o.set(63, true)
	o.set(64, true)
	o.set(65, true)
	o.set(1000, false)
	s.set(1000, false)
	if s.has(1) || s.has(1000) || !s.has(200) {
		t.Errorf("set: %b", s)
	}
	if got := slices.Collect(s.intersect(o)); !slices.Equal(got, []int{63, 64}) {
		t.Errorf("intersect: %v", got)
	}
	s.set(63, false)
	for got := range o.intersect(s) {
		if got != 64 {
			t.Errorf("after one was removed: %v", got)
		}
		break
	}
}

// TestTablesAreShared: a tenant who asks about ever new classes pushes out no other's
// tables, and neither do callers that may not be the API server.
func TestTablesAreShared(t *testing.T) {
	w := newWorld()
	w.SetNode(aNode("g", has(gpu, 2)))
	about := func(namespace, connection string, memory int) {
		o := wants(gpu, asks("memory", fmt.Sprint(memory)))
		w.Decide(Query{Namespace: namespace, Options: []Option{o}, Caller: &Caller{Connection: connection}}, func([]Candidate) int { return 0 })
	}
	for i := range 8 {
		about("shop", "", 1+i)
	}
	for i := range 3 * maxTables {
		about("crowd", "", 1000+i)
		about(fmt.Sprint("ns-", i), "somebody", 2000+i)
	}
	owners := map[string]int{}
	for _, c := range w.withTable {
		owners[c.owner]++
	}
	if owners["shop"] != 8 || owners["crowd"] == 0 || len(w.withTable) != maxTables {
		t.Errorf("the tables are of %v", owners)
	}
}

// TestClassesAreBounded: of the claims of a namespace, not of another's.
func TestClassesAreBounded(t *testing.T) {
	w := crowd()
	for i := range maxClasses + 10 {
		w.SetPod(aPod(fmt.Sprint("p", i), asks(gpu, "1"), asks("memory", fmt.Sprint(1+i))))
	}
	w.SetPod(aPod("again", asks(gpu, "1"), asks("memory", "1")))
	w.SetPod(aPod("other", asks(gpu, "1"), asks("memory", fmt.Sprint(1<<20)), in("other")))
	w.reserve("r", wants(gpu, asks("memory", fmt.Sprint(1<<21))))
	if got, want := w.look(wants(gpu)).Claimed, int64(maxClasses+2); got != want {
		t.Errorf("%d are claimed, want %d", got, want)
	}
	if len(w.claiming) != maxClasses+1 || len(w.classes) > maxClasses+1+maxTables {
		t.Errorf("%d classes claim, of %d", len(w.claiming), len(w.classes))
	}
	for i := range maxClasses + 10 {
		w.DeletePod("default", fmt.Sprint("p", i))
	}
	w.DeletePod("default", "again")
	w.DeletePod("other", "other")
	w.Release("default", "r")
	if len(w.claiming)+len(w.claimsIn)+len(w.classesOf) != 0 {
		t.Errorf("%d classes claim, %d counts and %d namespaces are left", len(w.claiming), len(w.claimsIn), len(w.classesOf))
	}
}
