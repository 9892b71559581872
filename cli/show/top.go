package show

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	"heteroaccel.io/cli/pages"
	"heteroaccel.io/pkg/accel"
)

// cpu is the kind that every node has.
const cpu = string(accel.CPU)

// Top is an overview. What needs somebody's attention comes first.
type Top struct {
	Kinds []TopKind `json:"kinds"`
	Nodes []TopNode `json:"nodes"`
	pages.Omissions
}

// Use is how much of a kind is in use: slots of devices, or the CPU's cores. Blocked are
// those that nobody holds and nobody can get.
type Use struct {
	Slots   float64 `json:"slots"`
	Busy    float64 `json:"busy"`
	Idle    float64 `json:"idle"`
	Blocked float64 `json:"blocked"`
	// Load is the mean of the devices, or of all cores, whose load is known, 0 to 1.
	Load *float64 `json:"load,omitempty"`
	// Notes say what is wrong.
	Notes []string `json:"notes,omitempty"`

	// loads and weights are what Load is the mean of.
	loads, weights float64
}

// TopKind is a kind on all nodes. OldestSeconds is how old the oldest pod is that waits.
type TopKind struct {
	Kind string `json:"kind"`
	Use
	Waiting       int     `json:"waiting"`
	OldestSeconds float64 `json:"oldestSeconds"`
}

// TopNode is a kind on a node.
type TopNode struct {
	Node string `json:"node"`
	Kind string `json:"kind"`
	Use
}

// TopOf sums up nodes and the pods that wait.
func TopOf(nodes pages.Nodes, pods pages.Pods) Top {
	t := Top{Kinds: []TopKind{}, Nodes: []TopNode{}}
	all := map[string]*TopKind{}
	of := func(kind string) *TopKind {
		if all[kind] == nil {
			all[kind] = &TopKind{Kind: kind}
		}
		return all[kind]
	}
	for _, n := range nodes.Nodes {
		uses := usesOf(n)
		for _, kind := range slices.Sorted(maps.Keys(uses)) {
			u := uses[kind]
			cordoned := n.Cordoned && u.Idle > 0
			if n.Cordoned {
				u.Blocked, u.Idle = u.Blocked+u.Idle, 0
			}
			of(kind).add(*u)
			if cordoned && kind != cpu {
				of(kind).Notes = append(of(kind).Notes, "on a cordoned node")
			}
			if kind != cpu || len(uses) == 1 { // what concerns the node stands in one row alone
				u.Notes = append(nodeNotes(n, kind), u.Notes...)
			}
			u.mean()
			t.Nodes = append(t.Nodes, TopNode{n.Name, kind, *u})
		}
	}
	for _, p := range pods.Pods {
		if p.Waits() && !p.Deleted {
			k := of(p.Kind)
			k.Waiting++
			k.OldestSeconds = max(k.OldestSeconds, p.AgeSeconds)
		}
	}
	for _, k := range all {
		k.mean()
		k.Notes = tally(k.Notes)
		t.Kinds = append(t.Kinds, *k)
	}
	slices.SortFunc(t.Kinds, func(a, b TopKind) int {
		return cmp.Or(cmp.Compare(b.Waiting, a.Waiting), cmp.Compare(b.Blocked, a.Blocked), cmp.Compare(b.full(), a.full()), cmp.Compare(a.Kind, b.Kind))
	})
	rank := map[string]int{}
	for i, k := range t.Kinds {
		rank[k.Kind] = i
	}
	slices.SortStableFunc(t.Nodes, func(a, b TopNode) int {
		return cmp.Or(cmp.Compare(b.Blocked, a.Blocked), cmp.Compare(len(b.Notes), len(a.Notes)), cmp.Compare(rank[a.Kind], rank[b.Kind]),
			cmp.Compare(b.full(), a.full()), cmp.Compare(a.Node, b.Node))
	})
	t.NotShown = strings.Join(slices.Compact(slices.DeleteFunc([]string{nodes.NotShown, pods.NotShown}, func(s string) bool { return s == "" })), "; ")
	return t
}

// usesOf is what a node has of each kind. What is held and what can be got is Kubernetes'
// own accounting, less what the extender knows to be blocked.
func usesOf(n pages.Node) map[string]*Use {
	uses := map[string]*Use{cpu: cpuOf(n.CPU)}
	byClass := map[string]*Use{}
	for _, r := range n.Resources {
		if len(r.Kinds) == 0 {
			continue
		}
		to := uses
		if _, ok := accel.ClassOf(r.Resource); ok {
			to = byClass
		}
		kind := kinds(r)
		if to[kind] == nil {
			to[kind] = &Use{}
		}
		to[kind].add(Use{Slots: float64(r.Capacity), Busy: float64(r.Held), Idle: float64(r.Usable), Blocked: float64(max(0, r.Capacity-r.Held-r.Usable))})
	}
	// A DeviceClass counts devices that may be offered as a resource too.
	for kind, u := range byClass {
		if kind != cpu && (uses[kind] == nil || uses[kind].Slots < u.Slots) {
			uses[kind] = u
		}
	}
	for _, d := range n.Devices {
		u := uses[d.Kind]
		if u == nil { // in a list of kinds, or offered by nothing
			if u = listed(uses, d.Kind); u == nil {
				u = &Use{}
				uses[d.Kind] = u
			}
			if d.Resource == "" && u.Slots == 0 {
				u.Notes = append(u.Notes, "not offered to pods")
			}
		}
		switch {
		case d.Healthy != nil && !*d.Healthy:
			u.Notes = append(u.Notes, "unhealthy")
		case d.ExternalUse != "":
			u.Notes = append(u.Notes, "in external use")
		}
		if d.Load != nil {
			u.loads, u.weights = u.loads+*d.Load, u.weights+1
		}
	}
	return uses
}

// listed is the use of several kinds that one resource serves, with kind among them.
func listed(uses map[string]*Use, kind string) *Use {
	for _, several := range slices.Sorted(maps.Keys(uses)) {
		if slices.Contains(strings.Split(several, ","), kind) {
			return uses[several]
		}
	}
	return nil
}

func cpuOf(c pages.CPU) *Use {
	u := &Use{Slots: c.AllocatableCores, Busy: c.RequestedCores, Idle: c.FreeCores}
	if c.Load != nil {
		u.loads, u.weights = *c.Load*c.AllocatableCores, c.AllocatableCores
	}
	return u
}

func (u *Use) add(o Use) {
	u.Slots, u.Busy, u.Idle, u.Blocked = u.Slots+o.Slots, u.Busy+o.Busy, u.Idle+o.Idle, u.Blocked+o.Blocked
	u.loads, u.weights = u.loads+o.loads, u.weights+o.weights
	u.Notes = append(u.Notes, o.Notes...)
}

func (u *Use) mean() {
	if u.weights > 0 {
		mean := u.loads / u.weights
		u.Load = &mean
	}
	u.Notes = slices.Clip(u.Notes)
}

// full is the fraction that is in use.
func (u *Use) full() float64 {
	if u.Slots == 0 {
		return 0
	}
	return u.Busy / u.Slots
}

// nodeNotes are what is wrong with a node, for a kind. Only of devices is telemetry needed.
func nodeNotes(n pages.Node, kind string) (notes []string) {
	if n.Conflict != "" {
		notes = append(notes, "conflict: "+n.Conflict)
	}
	if kind != cpu && n.Telemetry == nil {
		notes = append(notes, "no telemetry")
	}
	if n.Telemetry != nil && !n.Telemetry.Fresh {
		notes = append(notes, "telemetry stale, "+age(n.Telemetry.AgeSeconds))
	}
	if n.Cordoned {
		notes = append(notes, "cordoned")
	}
	return notes
}

// tally counts notes that are alike.
func tally(notes []string) (counts []string) {
	n := map[string]int{}
	for _, note := range notes {
		n[note]++
	}
	for _, note := range slices.Sorted(maps.Keys(n)) {
		counts = append(counts, count(n[note], "device")+" "+note)
	}
	return counts
}
