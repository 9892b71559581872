package server

import (
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"heteroaccel.io/extender/placement"
	"heteroaccel.io/pkg/accel"
	"heteroaccel.io/pkg/inventory"
	"heteroaccel.io/pkg/resources"
)

// waitView says how things stand for a pod that is not bound.
type waitView struct {
	Kind accel.Kind `json:"kind,omitempty"`
	// Gated is set while scheduling gates keep the pod from the scheduler, and
	// Deleted once it is being deleted.
	Gated   bool `json:"gated,omitempty"`
	Deleted bool `json:"deleted,omitempty"`
	// Needs are the devices and cores it waits for.
	Needs needsView `json:"needs"`
	// Nodes are those it may run on that have the kind; of these, Stale have
	// no fresh sample.
	Nodes int `json:"nodes"`
	Stale int `json:"stale"`
	// Total is how many such pods those nodes could take when empty, Usable
	// how many they could take now. Claimed and Queued are the waiting pods
	// and reservations, this one among them, that will and will not fit.
	Total   int64 `json:"total"`
	Usable  int64 `json:"usable"`
	Claimed int64 `json:"claimed"`
	Queued  int64 `json:"queued"`
	// Unconfirmed is set while the scheduler says that there is no node for the
	// pod: it is right, whatever Usable counts.
	Unconfirmed bool `json:"unconfirmed,omitempty"`
	// Standings say of each node that has the kind how it stands to the pod.
	Standings []standing `json:"standings"`
	// Without counts the other nodes.
	Without int `json:"without"`
}

// needsView is what a pod requests of what it competes for.
type needsView struct {
	Cores   float64          `json:"cores"`
	Devices map[string]int64 `json:"devices"`
}

// How a node stands to a pod that waits.
const (
	free     = "free"     // what the pod needs is free there, by our count
	full     = "full"     // what the pod needs is held
	excluded = "excluded" // kube-scheduler keeps the pod off it
	rejected = "rejected" // our filter keeps the pod off it
)

// standing is how one node stands to a pod.
type standing struct {
	Node string `json:"node"`
	// State is free, full, excluded (by kube-scheduler) or rejected (by the
	// extender).
	State string `json:"state"`
	// Message is a sentence without the node.
	Message string `json:"message"`
}

func (s *server) viewWait(p *inventory.Pod) *waitView {
	v := &waitView{
		Kind: p.Managed.Kind, Gated: p.Gated, Deleted: p.Deleted, Unconfirmed: p.Verdict != "", Standings: []standing{},
		Needs: needsView{cores(p.Needs.CPU), map[string]int64{}},
	}
	for _, d := range p.Needs.Devices {
		v.Needs.Devices[d.Resource] = d.Count
	}
	// A dry run of a decision that has no choice: it reserves nothing.
	c := s.inventory.Decide(inventory.Query{
		Namespace: p.Namespace,
		Options:   []inventory.Option{{Kind: p.Managed.Kind, Needs: p.Needs, Constraints: p.Constraints}},
	}, func([]inventory.Candidate) int { return 0 })
	v.Nodes, v.Stale, v.Total, v.Usable, v.Claimed, v.Queued = c.Nodes, c.Stale, c.Total, c.Usable, c.Claimed, c.Queued

	now, most := s.inventory.Now(), s.inventory.MaxTelemetryAge()
	q := placement.Query{Needs: p.Needs, Oldest: now.Add(-most)}
	for _, n := range s.inventory.Nodes() {
		verdict := q.Filter(n)
		if verdict.Cause == placement.Absent {
			v.Without++
			continue
		}
		v.Standings = append(v.Standings, stand(p, n, verdict, n.Fresh(now, most)))
	}
	return v
}

// stand says how a node that has the kind stands to an unbound pod, in the
// order in which the scheduler would come upon it.
func stand(p *inventory.Pod, n *inventory.Node, verdict placement.Verdict, fresh bool) standing {
	switch {
	case !p.Constraints.Allow(n):
		return standing{n.Name, excluded, exclusion(p.Constraints, n)}
	case verdict.Cause != placement.Fits:
		return standing{n.Name, rejected, verdict.Message}
	case n.Fits(p.Needs, fresh) > 0 && p.Verdict != "":
		return standing{n.Name, free, "free by the extender's count; the scheduler found no node, see below"}
	case n.Fits(p.Needs, fresh) > 0:
		return standing{n.Name, free, "it could take the pod now"}
	}
	for _, d := range p.Needs.Devices {
		if n.Usable(d.Resource, fresh) < d.Count {
			return standing{n.Name, full, held(n, d)}
		}
	}
	return standing{n.Name, full, crowded(n, p.Needs)}
}

// exclusion says why kube-scheduler keeps a pod off a node. Constraints answer
// yes or no; what it was follows from asking about a node with nothing but one
// of the candidates for the cause.
func exclusion(c *inventory.Constraints, n *inventory.Node) string {
	var causes []string
	if n.Cordoned() {
		causes = append(causes, "it is cordoned")
	}
	for _, t := range n.Taints() {
		if t.Effect != corev1.TaintEffectPreferNoSchedule && t.Key != corev1.TaintNodeUnschedulable {
			causes = append(causes, "it is tainted "+t.ToString())
		}
	}
	if volume := c.VolumeConflict(n); volume != "" {
		return strings.Join(append(causes, fmt.Sprintf("the pod's volume %s cannot be used there", volume)), ", ")
	}
	const labels = "the pod's node selector or affinity leaves it out"
	if len(causes) == 0 {
		return labels
	}
	sentence := strings.Join(causes, ", ")
	if selective := !c.Allow(inventory.NodeOf(&corev1.Node{})); selective {
		sentence += ", or " + labels
	}
	return sentence
}

// held says who holds the devices that a pod would need.
func held(n *inventory.Node, d resources.Devices) string {
	const most = 5
	pods := holdersOf(n, d.Resource)
	var who []string
	for _, p := range pods[:min(most, len(pods))] {
		who = append(who, p.Key())
	}
	if more := len(pods) - most; more > 0 {
		who = append(who, fmt.Sprintf("%d more", more))
	}
	if len(who) == 0 {
		return fmt.Sprintf("%d of %d %s can be given out", n.Allocatable.Device(d.Resource), n.Capacity.Device(d.Resource), d.Resource)
	}
	return "held by " + strings.Join(who, ", ")
}

// crowded says which of the ordinary resources is short.
func crowded(n *inventory.Node, needs resources.Amounts) string {
	switch {
	case n.Pods >= n.MaxPods:
		return fmt.Sprintf("it runs its %d pods already", n.MaxPods)
	case needs.CPU > n.Allocatable.CPU-n.Held.CPU:
		return fmt.Sprintf("%s of its %s cores are not requested, the pod needs %s",
			coreText(cores(n.Allocatable.CPU-n.Held.CPU)), coreText(cores(n.Allocatable.CPU)), coreText(cores(needs.CPU)))
	case needs.Memory > n.Allocatable.Memory-n.Held.Memory:
		return "its memory is requested by other pods"
	case needs.Storage > n.Allocatable.Storage-n.Held.Storage:
		return "its ephemeral storage is requested by other pods"
	default:
		return "its cores are busy"
	}
}
