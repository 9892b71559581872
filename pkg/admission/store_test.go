package admission

import (
	"fmt"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestStore sends events of informers. Each step has whether something changed,
// and why a pod of the namespace that requests two cores would be denied then.
func TestStore(t *testing.T) {
	s := NewStore()
	cores := func(name, n string) func() {
		return func() { s.SetLimitRange(limitRange(name, perContainer(most("cpu", n)))) }
	}
	labels := func(labels map[string]string) func() { return func() { s.SetNamespace("team", labels) } }
	const (
		one = "LimitRange l: maximum cpu usage per Container is 1, but limit is 2"
		psa = `PodSecurity "baseline:latest": hostPath volumes (volume "dri")`
	)
	pod := aPod(asks(nil, list("cpu", "2")), mounts("dri", hostPath("/dev/dri")))
	for i, step := range []struct {
		do      func()
		changes bool
		has     bool
		want    string
	}{
		{func() {}, false, false, ""},
		{labels(nil), false, false, ""},
		{labels(map[string]string{"team": "a"}), false, false, ""},
		{cores("l", "1"), true, true, one},
		{cores("l", "1"), false, true, one},
		{cores("l", "4"), true, true, ""},
		{cores("k", "1"), true, true, "LimitRange k: maximum cpu usage per Container is 1, but limit is 2"},
		{cores("l", "1"), true, true, "LimitRange k: maximum cpu usage per Container is 1, but limit is 2"},
		{func() { s.DeleteLimitRange("team", "k") }, true, true, one},
		{func() { s.DeleteLimitRange("team", "k") }, false, true, one},
		{func() { s.DeleteLimitRange("other", "l") }, false, true, one},
		{labels(map[string]string{enforce: "baseline"}), true, true, one},
		{func() { s.DeleteLimitRange("team", "l") }, true, true, psa},
		{labels(map[string]string{enforce: "baseline", "team": "b"}), false, true, psa},
		{labels(map[string]string{enforce: "privileged"}), true, false, ""},
		{labels(map[string]string{enforce: "baseline"}), true, true, psa},
		{func() { s.DeleteNamespace("team") }, true, false, ""},
		{func() { s.DeleteNamespace("team") }, false, false, ""},
	} {
		before := s.Version()
		step.do()
		if changed := s.Version() != before; changed != step.changes {
			t.Errorf("step %d: changed %v, want %v", i, changed, step.changes)
		}
		if got := s.Has("team"); got != step.has {
			t.Errorf("step %d: has rules %v, want %v", i, got, step.has)
		}
		if diff := cmp.Diff(step.want, s.Refuses("team", pod)); diff != "" {
			t.Errorf("step %d (-want +got):\n%s", i, diff)
		}
		if s.Has("other") || s.Refuses("other", pod) != "" {
			t.Errorf("step %d: another namespace has rules", i)
		}
	}
	if len(s.rules) != 0 {
		t.Errorf("%d namespaces are remembered for nothing", len(s.rules))
	}
}

// TestNoStore: a nil store has no rules.
func TestNoStore(t *testing.T) {
	var s *Store
	if s.Has("team") || s.Refuses("team", aPod(privileged)) != "" || s.Version() != 0 {
		t.Error("a store that is not there has rules")
	}
}

// TestStoreAtOnce is for the race detector: rules change while pods are checked.
func TestStoreAtOnce(t *testing.T) {
	s := NewStore()
	pod := aPod(asks(nil, list("cpu", "2")))
	var group sync.WaitGroup
	for i := range 4 {
		group.Go(func() {
			for j := range 200 {
				s.SetLimitRange(limitRange(fmt.Sprint(i), perContainer(most("cpu", fmt.Sprint(1+j%2)))))
				s.SetNamespace("team", map[string]string{enforce: "baseline"})
				s.Refuses("team", pod)
				s.DeleteLimitRange("team", fmt.Sprint(i))
			}
		})
	}
	group.Wait()
	if why := s.Refuses("team", pod); why != "" {
		t.Errorf("refused by a rule that is gone: %s", why)
	}
}
