package inventory

import (
	"fmt"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
)

// prefers adds a preferred term to a pod's node affinity.
func prefers(weight int32, term corev1.NodeSelectorTerm) podOption {
	return func(p *corev1.Pod) {
		if p.Spec.Affinity == nil {
			p.Spec.Affinity = &corev1.Affinity{}
		}
		if p.Spec.Affinity.NodeAffinity == nil {
			p.Spec.Affinity.NodeAffinity = &corev1.NodeAffinity{}
		}
		a := p.Spec.Affinity.NodeAffinity
		a.PreferredDuringSchedulingIgnoredDuringExecution = append(a.PreferredDuringSchedulingIgnoredDuringExecution,
			corev1.PreferredSchedulingTerm{Weight: weight, Preference: term})
	}
}

func prefersNode(name string) podOption {
	return prefers(100, nodeNamed(corev1.NodeSelectorOpIn, name))
}

func room(numbers ...string) corev1.NodeSelectorTerm {
	return expression("room", corev1.NodeSelectorOpIn, numbers...)
}

// TestPreferredNode asks which of three nodes with a GPU a pod prefers of those
// that would take it.
func TestPreferredNode(t *testing.T) {
	type preferred struct {
		node   string
		weight int
	}
	for name, tt := range map[string]struct {
		happens func(*world)
		pod     []podOption
		want    preferred
	}{
		"none":                         {nil, nil, preferred{}},
		"by name":                      {nil, []podOption{prefersNode("b")}, preferred{"b", 100}},
		"by the name of no node":       {nil, []podOption{prefersNode("x")}, preferred{}},
		"by label":                     {nil, []podOption{prefers(7, room("2"))}, preferred{"b", 7}},
		"the higher weight":            {nil, []podOption{prefers(7, room("1")), prefers(8, room("3"))}, preferred{"c", 8}},
		"the sum of the weights":       {nil, []podOption{prefers(9, room("1")), prefers(7, room("2", "3")), prefers(3, room("3"))}, preferred{"c", 10}},
		"at most 100":                  {nil, []podOption{prefers(90, room("2")), prefers(80, room("2"))}, preferred{"b", 100}},
		"an empty term matches none":   {nil, []podOption{prefers(9, corev1.NodeSelectorTerm{})}, preferred{}},
		"a garbled term spoils all":    {nil, []podOption{prefersNode("b"), prefers(9, expression("room", "Garbage"))}, preferred{}},
		"where it may not run":         {nil, []podOption{prefersNode("b"), selects("room", "1")}, preferred{}},
		"the next, as it may not run":  {nil, []podOption{prefersNode("b"), prefers(5, room("1")), selects("room", "1")}, preferred{"a", 5}},
		"held":                         {func(w *world) { w.SetPod(aPod("p", on("b"), asks(gpu, "1"))) }, []podOption{prefersNode("b")}, preferred{}},
		"held, the next":               {func(w *world) { w.SetPod(aPod("p", on("b"), asks(gpu, "1"))) }, []podOption{prefersNode("b"), prefers(5, room("3"))}, preferred{"c", 5}},
		"claimed by who prefers it":    {func(w *world) { w.reserve("r", wants(gpu, prefersNode("b"))) }, []podOption{prefersNode("b")}, preferred{}},
		"claimed, of another template": {func(w *world) { w.SetPod(aPod("p", asks(gpu, "1"), asks("cpu", "1"), prefersNode("b"))) }, []podOption{prefersNode("b")}, preferred{}},
		"claimed by who is tied to it": {func(w *world) { w.reserve("r", wants(gpu, selects("room", "2"))) }, []podOption{prefersNode("b")}, preferred{}},
		"another node is claimed":      {func(w *world) { w.reserve("r", wants(gpu, prefersNode("a"))) }, []podOption{prefersNode("b")}, preferred{"b", 100}},
		"claimed twice, once there": {
			func(w *world) {
				w.reserve("r", wants(gpu, prefersNode("b")))
				w.reserve("s", wants(gpu, prefersNode("b")))
			},
			[]podOption{prefersNode("c")}, preferred{"c", 100}, // the second claim falls on a
		},
		"released": {
			func(w *world) {
				w.reserve("r", wants(gpu, prefersNode("b")))
				w.Release("default", "r")
			},
			[]podOption{prefersNode("b")}, preferred{"b", 100},
		},
		"all are held: where it waits": {
			func(w *world) {
				for _, n := range []string{"a", "b", "c"} {
					w.SetPod(aPod("p"+n, on(n), asks(gpu, "1")))
				}
			},
			[]podOption{prefersNode("b")}, preferred{"b", 100},
		},
		"stale, others fresh": {func(w *world) { w.scrape("b", time.Minute, device("0", gpu)) }, []podOption{prefersNode("b")}, preferred{}},
		"stale, as all are": {
			func(w *world) { w.now = w.now.Add(time.Minute) },
			[]podOption{prefersNode("b")}, preferred{"b", 100},
		},
		"labelled since":   {func(w *world) { w.SetNode(aNode("a", has(gpu, 1), labelled("room", "9"))) }, []podOption{prefers(5, room("9"))}, preferred{"a", 5}},
		"relabelled since": {func(w *world) { w.SetNode(aNode("b", has(gpu, 1), labelled("room", "9"))) }, []podOption{prefers(5, room("2"))}, preferred{}},
		"gone":             {func(w *world) { w.DeleteNode("b") }, []podOption{prefersNode("b")}, preferred{}},
	} {
		t.Run(name, func(t *testing.T) {
			asked, late := newWorld(), newWorld()
			for _, w := range []*world{asked, late} {
				for i, n := range []string{"a", "b", "c"} {
					w.SetNode(aNode(n, has(gpu, 1), labelled("room", fmt.Sprint(i+1))))
				}
				if !strings.HasPrefix(name, "stale, others") {
					w.scrape("b", 0, device("0", gpu))
				}
				w.scrape("a", 0, device("0", gpu))
				w.scrape("c", 0, device("0", gpu))
			}
			asked.look(wants(gpu, tt.pod...))
			for _, w := range []*world{asked, late} {
				if tt.happens != nil {
					tt.happens(w)
				}
				c := w.look(wants(gpu, tt.pod...))
				if got := (preferred{c.PreferredNode, c.PreferredWeight}); got != tt.want {
					t.Errorf("asked before: %t: got %v, want %v", w == asked, got, tt.want)
				}
			}
		})
	}
}

// TestOwnClaimIsLeftOut: a pod that is decided about again finds the device free
// that it claims itself.
func TestOwnClaimIsLeftOut(t *testing.T) {
	w := newWorld()
	w.SetNode(aNode("a", has(gpu, 1)))
	w.SetNode(aNode("b", has(gpu, 1)))
	o := wants(gpu, prefersNode("b"))
	w.reserve("r", o)
	dry := Query{Namespace: "default", Options: []Option{o}, Release: "r"}
	if c := w.Decide(dry, func([]Candidate) int { return 0 }); c.PreferredNode != "b" {
		t.Errorf("its own reservation: prefers %q", c.PreferredNode)
	}
	w.Release("default", "r")
	p := aPod("p", asks(gpu, "1"), prefersNode("b"))
	w.SetPod(p)
	c, ok := w.Reconsider(Query{Namespace: "default", Options: []Option{o}}, "p", p.UID, func([]Candidate) int { return 0 })
	if !ok || c.PreferredNode != "b" {
		t.Errorf("its own claim: %t, prefers %q", ok, c.PreferredNode)
	}
	if c := w.look(o); c.PreferredNode != "" {
		t.Errorf("another pod: prefers %q, which is claimed", c.PreferredNode)
	}
}

// TestPreferencesShareTables: pods that differ in nothing but what they prefer have
// one table.
func TestPreferencesShareTables(t *testing.T) {
	w := newWorld()
	w.SetNode(aNode("a", has(gpu, 1)))
	for i := range 2 * maxTables {
		w.look(wants(gpu, prefersNode(fmt.Sprint("n", i))))
	}
	if len(w.withTable) != 1 || len(w.eligible) != 1 {
		t.Errorf("%d tables and %d sets of eligible nodes, want 1 of each", len(w.withTable), len(w.eligible))
	}
}

// TestPreferencesAreBounded: of preferences that only decisions ask about a few are
// kept, of those that pods are pending with so many; the rest have none.
func TestPreferencesAreBounded(t *testing.T) {
	w := newWorld()
	for i := range 8 {
		w.SetNode(aNode(fmt.Sprint("n", i), has(gpu, 1)))
	}
	of := func(i int) podOption { return prefers(1, nodeNamed(corev1.NodeSelectorOpIn, fmt.Sprint("n", i))) }
	for i := range 3 * maxTables {
		w.look(wants(gpu, of(i)))
	}
	if len(w.preferred) != maxTables {
		t.Errorf("%d preferences are kept of decisions, want %d", len(w.preferred), maxTables)
	}
	const pods = maxPreferences + 50
	for i := range pods {
		w.SetPod(aPod(fmt.Sprint("p", i), asks(gpu, "1"), of(i)))
	}
	if n := len(w.preferred); w.claimedPreferences != maxPreferences || n > maxPreferences+maxTables {
		t.Errorf("%d preferences are kept of claims, %d in all", w.claimedPreferences, n)
	}
	if c := w.look(wants(gpu)); c.Claimed+c.Queued != pods {
		t.Errorf("%d claims, want %d", c.Claimed+c.Queued, pods)
	}
	for i := range pods {
		w.DeletePod("default", fmt.Sprint("p", i))
	}
	if n := len(w.preferred); w.claimedPreferences != 0 || n > maxTables {
		t.Errorf("%d preferences are left of claims, %d in all", w.claimedPreferences, n)
	}
	if c := w.look(wants(gpu, of(3))); c.PreferredNode != "n3" {
		t.Errorf("prefers %q", c.PreferredNode)
	}
}
