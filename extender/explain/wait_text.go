package explain

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// maxRows bounds the nodes in a text; the JSON has them all.
const maxRows = 50

func (v *waitView) text(p *page) {
	p.line("")
	switch {
	case v.Deleted:
		p.field(0, "waits for", "nothing: it is being deleted")
	case v.Gated:
		p.field(0, "waits for", "its scheduling gates to be removed")
	default:
		p.field(0, "waits for", v.Needs.String())
	}
	p.field(0, "capacity", v.capacity())
	if len(v.Nodes) > 0 {
		p.line("")
		var rows [][]string
		for _, s := range v.Nodes[:min(maxRows, len(v.Nodes))] {
			rows = append(rows, []string{s.Node, s.State, s.Message})
		}
		p.table([]string{"NODE", "STATE", "FOR THIS POD"}, rows)
	}
	if more := len(v.Nodes) - maxRows; more > 0 {
		p.line(fmt.Sprintf("and %d more nodes: see ?format=json", more))
	}
	if v.OtherNodes > 0 {
		p.line(fmt.Sprintf("%d other %s no such device.", v.OtherNodes, plural(v.OtherNodes, "node has", "nodes have")))
	}
}

// String is "1 gpu.intel.com/i915", or "2 cores".
func (n needsView) String() string {
	var parts []string
	for _, r := range slices.Sorted(maps.Keys(n.Devices)) {
		parts = append(parts, amountText(n.Devices[r], r))
	}
	return cmp.Or(strings.Join(parts, " and "), coreText(n.Cores)+" cores")
}

// capacity sums up the kind on the eligible nodes.
func (v *waitView) capacity() string {
	if v.EligibleNodes == 0 {
		return "no eligible node has any"
	}
	nodes := count(v.EligibleNodes, "eligible node")
	s := fmt.Sprintf("%s %s %s, %d now", nodes, plural(v.EligibleNodes, "fits", "fit"), count(int(v.Fits), "such pod"), v.FitsNow)
	if v.Unconfirmed {
		s = "by the extender's count " + s + ", but kube-scheduler found no node: its verdict below decides"
	}
	s += "; " + count(int(v.Claimed+v.Queued), "pending pod")
	if !v.Gated && !v.Deleted {
		s += ", including this one"
	}
	if v.StaleNodes > 0 {
		s += "; " + count(v.StaleNodes, "node") + " without fresh telemetry"
	}
	return s
}

// count is "1 node" or "2 nodes".
func count(n int, noun string) string {
	return fmt.Sprintf("%d %s", n, plural(n, noun, noun+"s"))
}

func plural(n int, one, many string) string {
	if n == 1 {
		return one
	}
	return many
}
