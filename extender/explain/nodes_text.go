package explain

import (
	"fmt"
	"strconv"
	"strings"
)

func (v *nodesView) text(p *page) {
	if len(v.Nodes) == 0 {
		p.line("No nodes are known yet.")
		return
	}
	var rows [][]string
	add := func(cells ...string) { rows = append(rows, cells) }
	for _, n := range v.Nodes {
		sample := strings.TrimPrefix(n.sample(), "fresh, ")
		if n.Cordoned {
			sample += ", cordoned"
		}
		add(n.Name, "CPU", coreText(n.CPU.AllocatableCores)+" cores", n.CPU.state(), sample, strings.Join(n.CPU.Pods, ", "))
		for _, d := range n.Devices {
			add(n.Name, string(d.Kind), d.ID, d.State+percent(d.Load), sample, names(d.Holders))
		}
		for _, r := range n.unsampled() {
			add(n.Name, r.kind(), r.Resource, fmt.Sprintf("%d of %d free", r.Usable, r.Capacity), sample, "")
		}
		if len(n.Unplaced) > 0 {
			add(n.Name, "?", "not known yet", "busy", sample, names(n.Unplaced))
		}
	}
	p.table([]string{"NODE", "KIND", "DEVICE", "STATE", "TELEMETRY", "HELD BY"}, rows)
}

func (v *nodeView) text(p *page) {
	p.field(0, "node", v.Name)
	if v.Cordoned {
		p.field(0, "cordoned", "yes: it takes no new pods")
	}
	if len(v.Taints) > 0 {
		p.field(0, "taints", strings.Join(v.Taints, ", "))
	}
	p.field(0, "sample", v.sample())
	p.line("")
	p.line("CPU")
	p.field(2, "cores", fmt.Sprintf("%s, %s requested", coreText(v.CPU.AllocatableCores), coreText(v.CPU.RequestedCores)))
	p.field(2, "state", v.CPU.state())
	if len(v.CPU.Pods) > 0 {
		p.field(2, "held by", strings.Join(v.CPU.Pods, ", "))
	}
	for _, d := range v.Devices {
		p.line("")
		d.text(p)
	}
	for _, r := range v.unsampled() {
		p.line("")
		p.line(clean(r.kind()))
		p.field(2, "resource", r.Resource)
		p.field(2, "state", fmt.Sprintf("%d of %d free; no sample names its devices", r.Usable, r.Capacity))
	}
	if len(v.Unplaced) > 0 {
		p.line("")
		p.field(0, "not placed", names(v.Unplaced)+": bound here, on which device no sample has told yet")
	}
}

func (d deviceView) text(p *page) {
	p.line(clean(string(d.Kind) + " " + d.ID))
	p.field(2, "state", d.State+percent(d.Load))
	if len(d.Holders) > 0 {
		holders := make([]string, len(d.Holders))
		for i, h := range d.Holders {
			holders[i] = h.String()
			if h.Container != "" {
				holders[i] += " (" + h.Container + ")"
			}
			if h.Claim != "" {
				holders[i] += " by claim " + h.Claim
			}
		}
		p.field(2, "held by", strings.Join(holders, ", "))
	}
	if d.Resource == "" {
		p.field(2, "resource", "none: no device plugin serves it")
	} else {
		p.field(2, "resource", d.Resource)
	}
	if d.PluginID != "" {
		p.field(2, "plugin id", d.PluginID)
	}
	if words := strings.TrimSpace(d.Vendor + " " + d.Model); words != "" {
		p.field(2, "model", words)
	}
	if d.Driver != "" {
		p.field(2, "driver", d.Driver)
	}
	if d.NUMA != nil {
		p.field(2, "numa node", strconv.Itoa(*d.NUMA))
	}
	p.field(2, "health", d.health())
	allocated := fmt.Sprintf("%d, %d allocated by the kubelet", d.Slots, d.Allocated)
	if d.Allocated < 0 {
		allocated = fmt.Sprintf("%d, the kubelet could not be asked which are allocated", d.Slots)
	}
	p.field(2, "slots", allocated)
}

// health is the word for the device's health, with the reason.
func (d deviceView) health() string {
	health := "unknown"
	if d.Healthy != nil {
		health = map[bool]string{true: "healthy", false: "unhealthy"}[*d.Healthy]
	}
	if d.Reason != "" {
		health += ": " + d.Reason
	}
	return health
}
