package show

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"heteroaccel.io/cli/pages"
	"heteroaccel.io/pkg/accel"
)

// Nodes is a wide table of nodes and their devices.
func Nodes(nodes []pages.Node) string {
	head := []string{"NODE", "KIND", "DEVICE", "STATE", "LOAD", "SLOTS", "TELEMETRY", "HELD BY", "RESOURCE", "MODEL", "DRIVER", "REASON"}
	var rows [][]string
	for _, n := range nodes {
		at := telemetry(n)
		rows = append(rows, []string{n.Name, "CPU", fmt.Sprintf("%g cores", n.CPU.AllocatableCores), fmt.Sprintf("%g free", n.CPU.FreeCores), percent(n.CPU.Load), "", at, strings.Join(n.CPU.Pods, ", "), "cpu", "", "", n.Conflict})
		for _, d := range n.Devices {
			rows = append(rows, []string{n.Name, d.Kind, d.ID, d.State, percent(d.Load), strconv.FormatInt(d.Slots, 10), at, holders(d.Holders), d.Resource, strings.TrimSpace(d.Vendor + " " + d.Model), d.Driver, d.Reason})
		}
		for _, r := range n.Resources {
			if !reported(n, r) {
				rows = append(rows, []string{n.Name, kinds(r), "", fmt.Sprintf("%d of %d free", r.Usable, r.Capacity), "", strconv.FormatInt(r.Capacity, 10), at, "", r.Resource, "", "", "no telemetry of its devices"})
			}
		}
		if len(n.Unmapped) > 0 {
			rows = append(rows, []string{n.Name, "?", "unknown", "busy", "", "", at, holders(n.Unmapped), "", "", "", "telemetry does not show yet which device it is"})
		}
	}
	return table(head, rows)
}

// telemetry says how old that of a node is, and what keeps pods off the node.
func telemetry(n pages.Node) string {
	words := "none"
	if t := n.Telemetry; t != nil {
		if words = age(t.AgeSeconds); !t.Fresh {
			words = "stale, " + words
		}
	}
	if n.Conflict != "" {
		words += ", conflict"
	}
	if n.Cordoned {
		words += ", cordoned"
	}
	return words
}

func holders(all []pages.Holder) string {
	names := make([]string, len(all))
	for i, h := range all {
		if names[i] = h.Namespace + "/" + h.Pod; h.Pod == "" {
			names[i] = "(not shown)"
		}
	}
	return strings.Join(names, ", ")
}

func kinds(r pages.Resource) string {
	if len(r.Kinds) == 0 {
		return "?"
	}
	return strings.Join(r.Kinds, ",")
}

// reported tells whether telemetry shows devices of a resource. A DeviceClass has one if
// there is a device of a kind that it is for, and the CPU is always there.
func reported(n pages.Node, r pages.Resource) bool {
	_, isClass := accel.ClassOf(r.Resource)
	if isClass && slices.Contains(r.Kinds, cpu) {
		return true
	}
	return slices.ContainsFunc(n.Devices, func(d pages.Device) bool {
		return d.Resource == r.Resource || isClass && slices.Contains(r.Kinds, d.Kind)
	})
}
