package server

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/duration"

	"heteroaccel.io/pkg/accel"
	"heteroaccel.io/pkg/inventory"
)

// nodeView is one node, as JSON.
type nodeView struct {
	Name     string `json:"name"`
	Cordoned bool   `json:"cordoned"`
	// Taints are as kubectl writes them: key=value:effect.
	Taints []string `json:"taints"`
	// Sample is nil before the node's exporter was heard for the first time.
	Sample *sampleView `json:"sample,omitempty"`
	CPU    cpuView     `json:"cpu"`
	// Resources are the extended resources by Kubernetes' own accounting.
	Resources []resourceView `json:"resources"`
	Devices   []deviceView   `json:"devices"`
	// Unplaced are pods that hold devices here, which of them no sample has
	// told yet.
	Unplaced []holderView `json:"unplaced,omitempty"`
}

// sampleView says how far a node's sample can be trusted.
type sampleView struct {
	Time       time.Time `json:"time"`
	AgeSeconds float64   `json:"ageSeconds"`
	// Fresh is false for one so old that it no longer counts.
	Fresh bool `json:"fresh"`
}

// cpuView is a node's cores.
type cpuView struct {
	AllocatableCores float64 `json:"allocatableCores"`
	RequestedCores   float64 `json:"requestedCores"`
	// FreeCores are neither requested nor, by a fresh sample, busy.
	FreeCores float64 `json:"freeCores"`
	// Load is the busy share of the cores, 0 to 1; nil when unknown.
	Load *float64 `json:"load,omitempty"`
	// Pods are those that were given this node's CPU as their accelerator.
	Pods []string `json:"pods"`
}

// resourceView is one extended resource of a node.
type resourceView struct {
	Resource string `json:"resource"`
	// Kinds are what the profiles use the resource for.
	Kinds       []accel.Kind `json:"kinds"`
	Capacity    int64        `json:"capacity"`
	Allocatable int64        `json:"allocatable"`
	// Held is what pods hold, and Usable what more could be given.
	Held   int64 `json:"held"`
	Usable int64 `json:"usable"`
}

// nodesView is what /nodes shows.
type nodesView struct {
	Nodes []*nodeView `json:"nodes"`
}

func (s *server) nodes(*http.Request) (view, error) {
	v := &nodesView{Nodes: []*nodeView{}}
	for _, n := range s.inventory.Nodes() {
		v.Nodes = append(v.Nodes, s.viewNode(n))
	}
	return v, nil
}

func (s *server) node(r *http.Request) (view, error) {
	name := param(r, "name")
	n := s.inventory.Lookup([]string{name})[0]
	if n == nil {
		return nil, missing(fmt.Sprintf("there is no node %q: see /nodes for those there are", name))
	}
	return s.viewNode(n), nil
}

func (s *server) viewNode(n *inventory.Node) *nodeView {
	now := s.inventory.Now()
	fresh := n.Fresh(now, s.inventory.MaxTelemetryAge())
	v := &nodeView{Name: n.Name, Cordoned: n.Cordoned(), Taints: []string{}, Resources: []resourceView{}}
	for _, t := range n.Taints() {
		v.Taints = append(v.Taints, t.ToString())
	}
	if age, ok := n.Age(now); ok {
		v.Sample = &sampleView{n.Telemetry.Time, age.Seconds(), fresh}
	}
	v.CPU = cpuView{cores(n.Allocatable.CPU), cores(n.Held.CPU), cores(n.FreeCPU(fresh)), nil, []string{}}
	if load, ok := n.Load(fresh); ok {
		v.CPU.Load = &load
	}
	for _, p := range n.Holders {
		if p.Managed != nil && len(p.Needs.Devices) == 0 {
			v.CPU.Pods = append(v.CPU.Pods, p.Key())
		}
	}
	slices.Sort(v.CPU.Pods)
	kinds := s.profiles.ResourceKinds()
	for _, d := range n.Capacity.Devices {
		served := kinds[corev1.ResourceName(d.Resource)]
		if served == nil {
			served = []accel.Kind{}
		}
		v.Resources = append(v.Resources, resourceView{
			d.Resource, served, d.Count, n.Allocatable.Device(d.Resource),
			n.Held.Device(d.Resource), n.Usable(d.Resource, fresh),
		})
	}
	v.Devices, v.Unplaced = devicesOf(n, fresh)
	return v
}

func cores(milli int64) float64 { return float64(milli) / 1000 }

func coreText(c float64) string { return strconv.FormatFloat(c, 'f', -1, 64) }

// sample says in few words how old the sample is.
func (v *nodeView) sample() string {
	switch {
	case v.Sample == nil:
		return "none"
	case !v.Sample.Fresh:
		return "stale, " + ago(v.Sample.AgeSeconds)
	default:
		return "fresh, " + ago(v.Sample.AgeSeconds)
	}
}

func ago(seconds float64) string {
	return duration.HumanDuration(time.Duration(seconds * float64(time.Second)))
}

// unsampled are the resources of which no device was ever reported.
func (v *nodeView) unsampled() []resourceView {
	var rs []resourceView
	for _, r := range v.Resources {
		if !slices.ContainsFunc(v.Devices, func(d deviceView) bool { return d.Resource == r.Resource }) {
			rs = append(rs, r)
		}
	}
	return rs
}

func (r resourceView) kind() string {
	if len(r.Kinds) == 0 {
		return "?"
	}
	return accel.JoinKinds(r.Kinds)
}

func names(holders []holderView) string {
	s := make([]string, len(holders))
	for i, h := range holders {
		s[i] = h.String()
	}
	return strings.Join(s, ", ")
}

func (c cpuView) state() string {
	return coreText(c.FreeCores) + " free" + percent(c.Load)
}

// percent is what follows a state where a load is known.
func percent(load *float64) string {
	if load == nil {
		return ""
	}
	return fmt.Sprintf(", load %.0f%%", *load*100)
}
