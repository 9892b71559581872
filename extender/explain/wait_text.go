package explain

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// mostRows bounds the nodes in a text; the JSON has them all.
const mostRows = 50

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
	p.field(0, "of these", v.situation())
	if len(v.Standings) > 0 {
		p.line("")
		var rows [][]string
		for _, s := range v.Standings[:min(mostRows, len(v.Standings))] {
			rows = append(rows, []string{s.Node, s.State, s.Message})
		}
		p.table([]string{"NODE", "STATE", "FOR THIS POD"}, rows)
	}
	if more := len(v.Standings) - mostRows; more > 0 {
		p.line(fmt.Sprintf("and %d more nodes: see ?format=json", more))
	}
	if v.Without > 0 {
		p.line(fmt.Sprintf("%d other %s no such device.", v.Without, plural(v.Without, "node has", "nodes have")))
	}
}

// String is "1 gpu.intel.com/i915", or "2 cores".
func (n needsView) String() string {
	var parts []string
	for _, r := range slices.Sorted(maps.Keys(n.Devices)) {
		parts = append(parts, fmt.Sprintf("%d %s", n.Devices[r], r))
	}
	return cmp.Or(strings.Join(parts, " and "), coreText(n.Cores)+" cores")
}

// situation sums up the kind on the nodes the pod may run on.
func (v *waitView) situation() string {
	if v.Nodes == 0 {
		return "no node that this pod may run on has any"
	}
	nodes := plural(v.Nodes, "node", fmt.Sprintf("%d nodes", v.Nodes))
	s := fmt.Sprintf("the %s it may run on could take %d such %s, %d now", nodes, v.Total, plural(int(v.Total), "pod", "pods"), v.Usable)
	if v.Unconfirmed {
		s = fmt.Sprintf("by the extender's count the %s with the kind %s room for %d such %s, %d of them now; the scheduler's word below is what counts",
			nodes, plural(v.Nodes, "has", "have"), v.Total, plural(int(v.Total), "pod", "pods"), v.Usable)
	}
	s += fmt.Sprintf("; %d %s for it", v.Claimed+v.Queued, plural(int(v.Claimed+v.Queued), "waits", "wait"))
	if !v.Gated && !v.Deleted {
		s += ", this one among them"
	}
	if v.Stale > 0 {
		s += fmt.Sprintf("; %d without a fresh sample", v.Stale)
	}
	return s
}

func plural(n int, one, many string) string {
	if n == 1 {
		return one
	}
	return many
}
