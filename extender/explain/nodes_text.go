package explain

import (
	"fmt"
	"strconv"
	"strings"
)

func (v *nodesView) text(p *page) {
	if len(v.Nodes) == 0 {
		p.line("no nodes are known yet")
		return
	}
	var rows [][]string
	add := func(cells ...string) { rows = append(rows, cells) }
	for _, n := range v.Nodes {
		telemetry := strings.TrimPrefix(n.telemetry(), "fresh, ")
		if n.Cordoned {
			telemetry += ", cordoned"
		}
		add(n.Name, "CPU", coreText(n.CPU.AllocatableCores)+" cores", n.CPU.state(), telemetry, strings.Join(n.CPU.Pods, ", "))
		for _, d := range n.Devices {
			add(n.Name, string(d.Kind), d.ID, d.State+percent(d.Load), telemetry, names(d.Holders))
		}
		for _, r := range n.unreported() {
			add(n.Name, r.kind(), r.name(), fmt.Sprintf("%d of %d free", r.Usable, r.Capacity), telemetry, "")
		}
		if len(n.Unmapped) > 0 {
			add(n.Name, "?", "unknown", "busy", telemetry, names(n.Unmapped))
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
	p.field(0, "telemetry", v.telemetry())
	if v.Conflict != "" {
		p.field(0, "conflict", v.Conflict)
	}
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
	for _, r := range v.unreported() {
		p.line("")
		p.line(clean(r.kind()))
		p.field(2, "resource", r.name())
		p.field(2, "state", fmt.Sprintf("%d of %d free; no telemetry of its devices", r.Usable, r.Capacity))
	}
	if len(v.Unmapped) > 0 {
		p.line("")
		p.field(0, "unmapped", names(v.Unmapped)+": bound here; telemetry does not show yet to which device")
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
				holders[i] += " by ResourceClaim " + h.Claim
			}
		}
		p.field(2, "held by", strings.Join(holders, ", "))
	}
	if d.Resource == "" {
		p.field(2, "resource", "none: no device plugin advertises it")
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
		allocated = fmt.Sprintf("%d, allocated unknown: the kubelet could not be asked", d.Slots)
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
