package plan

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"heteroaccel.io/e2e/machine"
)

// Verb is what an event does.
type Verb string

// What happens in a soak. Unbind, ExternalUse, Ill and Unplug are faults of a
// device; Exporter stops a node's exporter, Kubelet its PodResources socket;
// Mend undoes whichever fault the event names. Evict deletes a pod of an owner's,
// Scale sets the number of an owner's pods, Leave deletes a foreign pod.
const (
	Unbind      Verb = "driver unbound"
	ExternalUse Verb = "external use"
	Ill         Verb = "plugin calls it unhealthy"
	Unplug      Verb = "unplugged, plugin follows"
	Plugin      Verb = "plugin gone"
	Exporter    Verb = "exporter stopped"
	Kubelet     Verb = "PodResources stopped"
	Cordon      Verb = "cordoned"
	Mend        Verb = "mend"
	Evict       Verb = "evict"
	Scale       Verb = "scale"
	Leave       Verb = "leave"
)

// Event is one thing that happens.
type Event struct {
	At   time.Duration
	Verb Verb
	// Node and Device are what a fault is of; Fault is what Mend undoes.
	Node, Device string
	Fault        Verb
	// Owner is whose pod is evicted, or who is scaled to Count; Index chooses
	// the pod among those there are.
	Owner        *Owner
	Index, Count int
	// Pod is the foreign pod that leaves.
	Pod string
}

// String is the event for a log, without its time.
func (e Event) String() string {
	switch {
	case e.Verb == Mend:
		return fmt.Sprintf("mended (%s): %s %s", e.Fault, e.Node, e.Device)
	case e.Owner != nil && e.Verb == Scale:
		return fmt.Sprintf("scale %s to %d", e.Owner.Key(), e.Count)
	case e.Owner != nil:
		return "evict a pod of " + e.Owner.Key()
	case e.Pod != "":
		return "delete " + e.Pod
	}
	return fmt.Sprintf("%s: %s %s", e.Verb, e.Node, e.Device)
}

// drawEvents draws faults, a fifth of which last, evictions, changes of size
// and leavings: about one in two seconds
// in all.
func (p *Plan) drawEvents(r *rand.Rand) {
	seconds := int(p.Size.Duration.Seconds())
	// Two faults of one machine at a time would mend each other.
	type span struct{ from, to time.Duration }
	ill := map[string][]span{}
	for range max(4, seconds/5) {
		m := pick(r, p.Machines...)
		e := Event{At: p.within(r, 0.85), Node: m.Name, Verb: pick(r, Exporter, Kubelet, Cordon)}
		if len(m.Devices) > 0 && chance(r, 75) {
			e.Verb = pick(r, Unbind, Unbind, ExternalUse, ExternalUse, Ill, Unplug, Plugin, Plugin)
		}
		switch e.Verb {
		case Unbind, ExternalUse, Ill, Unplug:
			e.Device = pick(r, m.Devices...).Name
		}
		whole := span{e.At, p.Size.Duration}
		mends := chance(r, 80) || e.Verb == Kubelet
		if mends {
			whole.to = min(e.At+time.Duration(3+r.IntN(20))*time.Second, p.Size.Duration)
		}
		if slices.ContainsFunc(ill[m.Name], func(s span) bool { return s.from <= whole.to+time.Second && whole.from <= s.to+time.Second }) {
			continue
		}
		ill[m.Name] = append(ill[m.Name], whole)
		p.Events = append(p.Events, e)
		if mends {
			p.Events = append(p.Events, Event{At: whole.to, Verb: Mend, Fault: e.Verb, Node: e.Node, Device: e.Device})
		}
	}
	evicted, scaled := owners(p, evictable), owners(p, scalable)
	for range max(4, seconds/10) {
		if len(evicted) > 0 {
			o := pick(r, evicted...)
			p.Events = append(p.Events, Event{At: p.within(r, 0.9), Verb: Evict, Owner: o, Index: r.IntN(64)})
		}
	}
	for range max(6, seconds/6) {
		if len(scaled) > 0 {
			o := pick(r, scaled...)
			p.Events = append(p.Events, Event{At: p.within(r, 0.9), Verb: Scale, Owner: o, Count: r.IntN(o.Count + 2)})
		}
	}
	for _, f := range p.Foreign {
		if chance(r, 50) {
			p.Events = append(p.Events, Event{At: p.within(r, 0.9), Verb: Leave, Pod: f.Name})
		}
	}
}

// evictable: a Job would count the pod as failed and pause, and a bare one
// does not come back.
func evictable(o *Owner) bool {
	return o.Sort != Job && o.Sort != IndexedJob && o.Sort != Bare
}

// scalable: one volume is for one pod, and what keeps apart may have no room
// for one more.
func scalable(o *Owner) bool {
	return (o.Sort == Deployment || o.Sort == Controller) && len(o.Claims) == 0 && o.Template.Spec.Affinity == nil
}

func owners(p *Plan, which func(*Owner) bool) []*Owner {
	return slices.DeleteFunc(slices.Clone(p.Owners), func(o *Owner) bool { return !which(o) })
}

// devicesOf are the devices that a plugin of the machine serves: with the
// first device's plugin all of its resource go.
func devicesOf(m *machine.Machine) (names []string) {
	for _, d := range m.Devices {
		if d.Resource == m.Devices[0].Resource {
			names = append(names, d.Name)
		}
	}
	return names
}

// Served are the devices that go with a plugin of a node.
func (p *Plan) Served(node string) []string {
	for _, m := range p.Machines {
		if m.Name == node {
			return devicesOf(m)
		}
	}
	return nil
}
