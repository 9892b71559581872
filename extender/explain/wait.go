package explain

import (
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"heteroaccel.io/extender/placement"
	"heteroaccel.io/pkg/accel"
	"heteroaccel.io/pkg/inventory"
	"heteroaccel.io/pkg/resources"
)

// waitView says what a pending pod waits for.
type waitView struct {
	Kind accel.Kind `json:"kind,omitempty"`
	// Gated is set while scheduling gates hold the pod back, and Deleted once it
	// is being deleted.
	Gated   bool `json:"gated,omitempty"`
	Deleted bool `json:"deleted,omitempty"`
	// Needs are the devices and cores it waits for.
	Needs needsView `json:"needs"`
	// EligibleNodes counts the nodes with the kind on which the pod may run; of
	// these, StaleNodes have no fresh telemetry.
	EligibleNodes int `json:"eligibleNodes"`
	StaleNodes    int `json:"staleNodes"`
	// Fits is how many such pods fit the eligible nodes when these are empty, and
	// FitsNow how many fit now. Claimed and Queued are the pending pods and
	// reservations, this one included, that will and will not fit.
	Fits    int64 `json:"fits"`
	FitsNow int64 `json:"fitsNow"`
	Claimed int64 `json:"claimed"`
	Queued  int64 `json:"queued"`
	// Unconfirmed is set while kube-scheduler finds no node for the pod. Its
	// verdict decides, whatever FitsNow counts.
	Unconfirmed bool `json:"unconfirmed,omitempty"`
	// Nodes says of each node that has the kind whether the pod fits it; none if
	// nodes are not shown.
	Nodes []nodeFor `json:"nodes"`
	// OtherNodes counts the nodes that do not have the kind.
	OtherNodes int `json:"otherNodes"`
}

// needsView is what a pod requests.
type needsView struct {
	Cores   float64          `json:"cores"`
	Devices map[string]int64 `json:"devices"`
}

// States of a node for a pending pod.
const (
	free     = "free"     // the pod fits, by our count
	full     = "full"     // other pods hold what the pod needs
	excluded = "excluded" // kube-scheduler excludes it for the pod
	rejected = "rejected" // the extender rejects it for the pod
)

// nodeFor is a node's state for one pod.
type nodeFor struct {
	Node string `json:"node"`
	// State is free, full, excluded (by kube-scheduler) or rejected (by the
	// extender).
	State string `json:"state"`
	// Message is a sentence without the node.
	Message string `json:"message"`
}

func (s *Pages) viewWait(p *inventory.Pod, who *viewer) *waitView {
	v := &waitView{
		Kind: p.Managed.Kind, Gated: p.Gated, Deleted: p.Deleted, Unconfirmed: p.Verdict != "", Nodes: []nodeFor{},
		Needs: needsView{cores(p.Needs.CPU), map[string]int64{}},
	}
	for _, d := range p.Needs.Devices {
		v.Needs.Devices[d.Resource] = d.Count
	}
	// A decision without a choice, which reserves nothing.
	c := s.Inventory.Decide(inventory.Query{
		Namespace: p.Namespace,
		Options:   []inventory.Option{{Kind: p.Managed.Kind, Needs: p.Needs, Constraints: p.Constraints}},
	}, func([]inventory.Candidate) int { return 0 })
	v.EligibleNodes, v.StaleNodes, v.Fits, v.FitsNow, v.Claimed, v.Queued = c.Nodes, c.Stale, c.Total, c.Usable, c.Claimed, c.Queued

	now, maxAge := s.Inventory.Now(), s.Inventory.MaxTelemetryAge()
	q := placement.Query{Needs: p.Needs, FreshSince: now.Add(-maxAge)}
	if !who.nodes() {
		return v
	}
	for _, n := range s.Inventory.Nodes() {
		found := q.Filter(n)
		if found.Reason == placement.Absent {
			v.OtherNodes++
			continue
		}
		v.Nodes = append(v.Nodes, stateFor(p, n, found, n.Fresh(now, maxAge), who))
	}
	return v
}

// stateFor is the state of a node that has the kind for a pending pod. It checks
// in the order in which the scheduler does.
func stateFor(p *inventory.Pod, n *inventory.Node, found placement.Result, fresh bool, who *viewer) nodeFor {
	switch {
	case !p.Constraints.Allow(n):
		return nodeFor{n.Name, excluded, exclusion(p.Constraints, n)}
	case !found.Fits():
		return nodeFor{n.Name, rejected, found.Message}
	case n.Fits(p.Needs, fresh) > 0 && p.Verdict != "":
		return nodeFor{n.Name, free, "the pod fits by the extender's count; kube-scheduler found no node, see below"}
	case n.Fits(p.Needs, fresh) > 0:
		return nodeFor{n.Name, free, "the pod fits now"}
	}
	for _, d := range p.Needs.Devices {
		if n.Usable(d.Resource, fresh) < d.Count {
			return nodeFor{n.Name, full, held(n, d, who)}
		}
	}
	return nodeFor{n.Name, full, crowded(n, p.Needs)}
}

// exclusion says why kube-scheduler excludes a node for a pod. Constraints only
// answer yes or no, so it names everything about the node that may be the cause.
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
	const labels = "the pod's node selector or affinity excludes it"
	if len(causes) == 0 {
		return labels
	}
	sentence := strings.Join(causes, ", ")
	if selective := !c.Allow(inventory.NodeOf(&corev1.Node{})); selective {
		sentence += ", or " + labels
	}
	return sentence
}

// held says which pods hold the devices that a pod needs.
func held(n *inventory.Node, d resources.Devices, who *viewer) string {
	const maxPods = 5
	pods := holdersOf(n, d.Resource)
	var holders []string
	for _, p := range pods[:min(maxPods, len(pods))] {
		holders = append(holders, who.holder(p))
	}
	if more := len(pods) - maxPods; more > 0 {
		holders = append(holders, fmt.Sprintf("%d more", more))
	}
	if len(holders) == 0 {
		return fmt.Sprintf("%d of %s are allocatable", n.Allocatable.Device(d.Resource), amountText(n.Capacity.Device(d.Resource), d.Resource))
	}
	return "held by " + strings.Join(holders, ", ")
}

// crowded says which of CPU, memory, storage and pods is short.
func crowded(n *inventory.Node, needs resources.Amounts) string {
	switch {
	case n.Pods >= n.MaxPods:
		return fmt.Sprintf("it runs its maximum of %d pods", n.MaxPods)
	case needs.CPU > n.Allocatable.CPU-n.Held.CPU:
		return fmt.Sprintf("%s of its %s cores are not requested, the pod needs %s",
			coreText(cores(n.Allocatable.CPU-n.Held.CPU)), coreText(cores(n.Allocatable.CPU)), coreText(cores(needs.CPU)))
	case needs.Memory > n.Allocatable.Memory-n.Held.Memory:
		return "too little memory is left"
	case needs.Storage > n.Allocatable.Storage-n.Held.Storage:
		return "too little ephemeral storage is left"
	default:
		return "its cores are busy"
	}
}
