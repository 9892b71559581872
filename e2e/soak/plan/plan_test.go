package plan

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	corev1 "k8s.io/api/core/v1"

	"heteroaccel.io/e2e/machine"
	"heteroaccel.io/pkg/accel"
)

var sizes = map[string]Size{
	"full":  {Pods: 200, Duration: 5 * time.Minute},
	"short": {Pods: 60, Duration: 40 * time.Second},
}

// TestSameSeed: all that is random follows from the seed.
func TestSameSeed(t *testing.T) {
	for name, size := range sizes {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(New(7, size), New(7, size), cmpopts.IgnoreUnexported(machine.Machine{})); diff != "" {
				t.Errorf("two plans of one seed (-first +second):\n%s", diff)
			}
			if cmp.Equal(New(7, size).Owners, New(8, size).Owners) {
				t.Error("the plans of two seeds have the same owners")
			}
		})
	}
}

// TestPossible: every pod has a node with an allowed kind, and few owners have
// none that their namespace lets in.
func TestPossible(t *testing.T) {
	for name, size := range sizes {
		t.Run(name, func(t *testing.T) {
			for seed := range uint64(50) {
				p := New(seed, size)
				pods, refused := 0, 0
				for _, o := range p.Owners {
					pods += o.Count
					nodes := p.nodes(o)
					if len(nodes) == 0 {
						t.Errorf("seed %d: %s has no node with one of %v", seed, o.Key(), o.Kinds)
					}
					if apart(o) && o.Count > len(nodes) {
						t.Errorf("seed %d: %s has %d pods that keep apart, and %d nodes", seed, o.Key(), o.Count, len(nodes))
					}
					if !slices.ContainsFunc(o.Kinds, func(k accel.Kind) bool { return !p.forbids(p.namespace(o.Namespace), o.Inference, k) }) {
						refused++
					}
				}
				if pods < size.Pods || pods > size.Pods*12/10 {
					t.Errorf("seed %d: %d pods, want about %d", seed, pods, size.Pods)
				}
				if refused > len(p.Owners)/10 {
					t.Errorf("seed %d: of %d owners %d can have no kind", seed, len(p.Owners), refused)
				}
			}
		})
	}
}

// apart reports whether an owner's pods keep off each other's nodes.
func apart(o *Owner) bool {
	return o.Template.Spec.Affinity != nil && o.Template.Spec.Affinity.PodAntiAffinity != nil
}

// TestVolumesStandWhereAKindIs: a local volume is on a node that its pod may
// run on.
func TestVolumesStandWhereAKindIs(t *testing.T) {
	p := New(3, sizes["full"])
	claimed := 0
	for _, o := range p.Owners {
		for _, c := range o.Claims {
			i := slices.IndexFunc(p.Volumes, func(v *corev1.PersistentVolume) bool { return v.Name == c.Spec.VolumeName })
			if i < 0 {
				t.Fatalf("claim %s names volume %q, which there is not", c.Name, c.Spec.VolumeName)
			}
			claimed++
			node := p.Volumes[i].Spec.NodeAffinity.Required.NodeSelectorTerms[0].MatchExpressions[0].Values[0]
			if !slices.Contains(p.nodes(o), node) {
				t.Errorf("the volume of %s is on %s, and its pods can run on %v", o.Key(), node, p.nodes(o))
			}
		}
	}
	if claimed == 0 {
		t.Error("the plan has no volume that is bound beforehand")
	}
}

// TestEverythingOccurs: three full soaks have owners, limits and faults of all
// sorts.
func TestEverythingOccurs(t *testing.T) {
	var p Plan
	for seed := range uint64(3) {
		one := New(seed, sizes["full"])
		p.Owners = append(p.Owners, one.Owners...)
		p.Events = append(p.Events, one.Events...)
		p.Namespaces = append(p.Namespaces, one.Namespaces...)
	}
	sorts, verbs, levels, seen := map[Sort]bool{}, map[Verb]bool{}, map[string]bool{}, map[string]bool{}
	for _, o := range p.Owners {
		sorts[o.Sort] = true
		s := o.Template.Spec
		seen["anti-affinity"] = seen["anti-affinity"] || apart(o)
		seen["spread"] = seen["spread"] || len(s.TopologySpreadConstraints) > 0
		seen["priority"] = seen["priority"] || s.PriorityClassName != ""
		seen["late claim"] = seen["late claim"] || slices.ContainsFunc(o.ClaimTemplates, func(c *corev1.PersistentVolumeClaim) bool { return *c.Spec.StorageClassName == LateBinding })
		for _, c := range s.Containers {
			seen["host port"] = seen["host port"] || len(c.Ports) > 0
		}
	}
	for _, e := range p.Events {
		verbs[e.Verb] = true
	}
	for _, n := range p.Namespaces {
		levels[n.Level] = true
		seen["LimitRange"] = seen["LimitRange"] || n.Limits != nil
		seen["quota"] = seen["quota"] || len(n.Quotas) > 0
	}
	for _, want := range []Sort{Deployment, StatefulSet, DaemonSet, Controller, Job, IndexedJob, Bare} {
		if !sorts[want] {
			t.Errorf("the plan has no %s", want)
		}
	}
	for _, want := range []Verb{Unbind, ExternalUse, Plugin, Mend, Evict, Scale, Leave} {
		if !verbs[want] {
			t.Errorf("the plan has no event %q", want)
		}
	}
	for _, want := range []string{"anti-affinity", "spread", "priority", "late claim", "host port", "LimitRange", "quota"} {
		if !seen[want] {
			t.Errorf("the plan has no %s", want)
		}
	}
	if len(levels) < 2 {
		t.Errorf("the namespaces enforce only %v", levels)
	}
}

// TestFaultsDoNotMendEachOther: on a machine one thing is wrong at a time.
func TestFaultsDoNotMendEachOther(t *testing.T) {
	for seed := range uint64(20) {
		ill := map[string]Verb{}
		for _, e := range New(seed, sizes["full"]).Events {
			switch {
			case e.Verb == Mend && ill[e.Node] != e.Fault:
				t.Errorf("seed %d: %s, and it has %q", seed, e, ill[e.Node])
			case e.Verb == Mend:
				delete(ill, e.Node)
			case e.Node != "" && ill[e.Node] != "":
				t.Errorf("seed %d: %s, and it has %q already", seed, e, ill[e.Node])
			case e.Node != "":
				ill[e.Node] = e.Verb
			}
		}
	}
}

func TestKeep(t *testing.T) {
	whole := New(1, sizes["full"])
	i := slices.IndexFunc(whole.Events, func(e Event) bool { return e.Verb == Evict })
	name := whole.Events[i].Owner.Name
	tests := map[string]struct {
		names   []string
		faults  bool
		unknown []string
		owners  int
	}{
		"all":                {nil, true, nil, len(whole.Owners)},
		"all, without fault": {nil, false, nil, len(whole.Owners)},
		"one":                {[]string{name}, true, nil, 1},
		"one, without fault": {[]string{name}, false, nil, 1},
		"one there is not":   {[]string{name, "nobody"}, true, []string{"nobody"}, 1},
	}
	for test, c := range tests {
		t.Run(test, func(t *testing.T) {
			p := New(1, sizes["full"])
			if diff := cmp.Diff(c.unknown, p.Keep(c.names, c.faults)); diff != "" {
				t.Errorf("unknown (-want +got):\n%s", diff)
			}
			if len(p.Owners) != c.owners {
				t.Errorf("%d owners are left, want %d", len(p.Owners), c.owners)
			}
			faults, evictions := 0, 0
			for _, e := range p.Events {
				if e.Node != "" {
					faults++
				}
				if e.Owner != nil {
					evictions++
					if c.owners == 1 && e.Owner.Name != name {
						t.Errorf("it is left: %s", e)
					}
				}
			}
			if (faults > 0) != c.faults || evictions == 0 {
				t.Errorf("%d faults and %d evictions are left, faults wanted: %v", faults, evictions, c.faults)
			}
		})
	}
}
