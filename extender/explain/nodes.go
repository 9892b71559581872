package explain

import (
	"cmp"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/duration"

	"heteroaccel.io/extender/live"
	"heteroaccel.io/pkg/accel"
	"heteroaccel.io/pkg/inventory"
)

// nodeView is one node, as JSON.
type nodeView struct {
	Name     string `json:"name"`
	Cordoned bool   `json:"cordoned"`
	// Taints are as kubectl writes them: key=value:effect.
	Taints []string `json:"taints"`
	// Telemetry is nil until the node's exporter is scraped for the first time.
	Telemetry *telemetryView `json:"telemetry,omitempty"`
	// Conflict is why what exporters say of the node is ignored now.
	Conflict string  `json:"conflict,omitempty"`
	CPU      cpuView `json:"cpu"`
	// Resources are the extended resources by Kubernetes' own accounting, and by their
	// implicit names (KEP-5004) the DeviceClasses that select devices here.
	Resources []resourceView `json:"resources"`
	Devices   []deviceView   `json:"devices"`
	// Unmapped are pods that hold devices here, but telemetry does not show yet
	// which.
	Unmapped []holderView `json:"unmapped,omitempty"`
	omissions
}

// telemetryView says how recent a node's telemetry is.
type telemetryView struct {
	Time       time.Time `json:"time"`
	AgeSeconds float64   `json:"ageSeconds"`
	// Fresh is false for telemetry so old that it no longer counts.
	Fresh bool `json:"fresh"`
}

// cpuView is a node's cores.
type cpuView struct {
	AllocatableCores float64 `json:"allocatableCores"`
	RequestedCores   float64 `json:"requestedCores"`
	// FreeCores are neither requested nor, by fresh telemetry, busy.
	FreeCores float64 `json:"freeCores"`
	// Load is the busy fraction of the cores, 0 to 1; nil when unknown.
	Load *float64 `json:"load,omitempty"`
	// Pods are those admitted for the CPU kind that run here.
	Pods []string `json:"pods"`

	holders []live.Holder // the same
}

// resourceView is one extended resource of a node.
type resourceView struct {
	Resource string `json:"resource"`
	// Kinds are what the profiles use the resource for.
	Kinds       []accel.Kind `json:"kinds"`
	Capacity    int64        `json:"capacity"`
	Allocatable int64        `json:"allocatable"`
	// Held is what pods hold, and Usable what is left for others.
	Held   int64 `json:"held"`
	Usable int64 `json:"usable"`
}

// nodesView is what /nodes shows.
type nodesView struct {
	Nodes []*nodeView `json:"nodes"`
	omissions
}

func (s *Pages) nodes(_ *http.Request, who *viewer) (view, error) {
	if err := who.need(nodeResource, ""); err != nil {
		return nil, err
	}
	v, classes := &nodesView{Nodes: []*nodeView{}}, s.classKinds()
	for _, n := range s.Inventory.Nodes() {
		v.Nodes = append(v.Nodes, s.viewNode(n, classes, who))
	}
	return v, nil
}

func (s *Pages) node(r *http.Request, who *viewer) (view, error) {
	if err := who.need(nodeResource, ""); err != nil {
		return nil, err
	}
	name := param(r, "name")
	n := s.Inventory.Lookup([]string{name})[0]
	if n == nil {
		return nil, missing(fmt.Sprintf("there is no node %q: GET /nodes lists all", name))
	}
	return s.viewNode(n, s.classKinds(), who), nil
}

func (s *Pages) viewNode(n *inventory.Node, classes map[string][]accel.Kind, who *viewer) *nodeView {
	now := s.Inventory.Now()
	fresh := n.Fresh(now, s.Inventory.MaxTelemetryAge())
	v := &nodeView{Name: n.Name, Conflict: s.Conflict(n.Name), Cordoned: n.Cordoned(), Taints: []string{}, Resources: []resourceView{}}
	for _, t := range n.Taints() {
		v.Taints = append(v.Taints, t.ToString())
	}
	if age, ok := n.Age(now); ok {
		v.Telemetry = &telemetryView{n.Telemetry.Time, age.Seconds(), fresh}
	}
	v.CPU = cpuView{AllocatableCores: cores(n.Allocatable.CPU), RequestedCores: cores(n.Held.CPU), FreeCores: cores(n.FreeCPU(fresh)), Pods: []string{}}
	if load, ok := n.Load(fresh); ok {
		v.CPU.Load = &load
	}
	for _, p := range n.Holders {
		if p.Managed != nil && len(p.Needs.Devices) == 0 {
			v.CPU.Pods = append(v.CPU.Pods, who.holder(p))
			v.CPU.holders = append(v.CPU.holders, live.Holder{Namespace: p.Namespace, Pod: p.Name})
		}
	}
	slices.SortFunc(v.CPU.holders, func(a, b live.Holder) int {
		return cmp.Or(cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Pod, b.Pod))
	})
	slices.Sort(v.CPU.Pods)
	kinds := s.Profiles.ResourceKinds()
	for _, d := range n.Capacity.Devices {
		served := kinds[corev1.ResourceName(d.Resource)]
		if class, ok := accel.ClassOf(d.Resource); ok {
			served = classes[class]
		}
		if served == nil {
			served = []accel.Kind{}
		}
		v.Resources = append(v.Resources, resourceView{
			d.Resource, served, d.Count, n.Allocatable.Device(d.Resource),
			n.Held.Device(d.Resource), n.Usable(d.Resource, fresh),
		})
	}
	v.Devices, v.Unmapped = devicesOf(n, fresh)
	for _, d := range v.Devices {
		who.holders(d.Holders)
	}
	who.holders(v.Unmapped)
	return v
}

func cores(milli int64) float64 { return float64(milli) / 1000 }

func coreText(c float64) string { return strconv.FormatFloat(c, 'f', -1, 64) }

// telemetry says in few words how old the telemetry is, and whether newer one is
// ignored.
func (v *nodeView) telemetry() string {
	if v.Conflict != "" {
		return v.telemetryAge() + ", conflict"
	}
	return v.telemetryAge()
}

func (v *nodeView) telemetryAge() string {
	switch {
	case v.Telemetry == nil:
		return "none"
	case !v.Telemetry.Fresh:
		return "stale, " + ago(v.Telemetry.AgeSeconds)
	default:
		return "fresh, " + ago(v.Telemetry.AgeSeconds)
	}
}

func ago(seconds float64) string {
	return duration.HumanDuration(time.Duration(seconds * float64(time.Second)))
}

// unreported are the resources without a device in the telemetry. A DeviceClass has one if
// there is a device of a kind that it is for, and the CPU is always there.
func (v *nodeView) unreported() []resourceView {
	var rs []resourceView
	for _, r := range v.Resources {
		_, isClass := accel.ClassOf(r.Resource)
		reported := func(d deviceView) bool {
			return d.Resource == r.Resource || isClass && slices.Contains(r.Kinds, d.Kind)
		}
		if !slices.ContainsFunc(v.Devices, reported) && !(isClass && slices.Contains(r.Kinds, accel.CPU)) {
			rs = append(rs, r)
		}
	}
	return rs
}

// name is the resource, or the DeviceClass.
func (r resourceView) name() string {
	if class, ok := accel.ClassOf(r.Resource); ok {
		return "DeviceClass " + class
	}
	return r.Resource
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
