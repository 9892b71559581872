package show

import (
	"fmt"
	"strconv"
	"strings"
)

const (
	// fewNodes is how many nodes a table has that is read in seconds.
	fewNodes = 15
	// loaded is the load from which on a CPU is worth a line.
	loaded = 0.9
)

// Text is the overview: a table of kinds, and one of nodes, of which a wide one has all.
func (t Top) Text(wide bool) string {
	if len(t.Kinds) == 0 {
		return "no nodes are known yet\n"
	}
	var rows [][]string
	for _, k := range t.Kinds {
		oldest := ""
		if k.Waiting > 0 {
			oldest = age(k.OldestSeconds)
		}
		rows = append(rows, append(append([]string{k.Kind}, k.cells(k.Kind)...), strconv.Itoa(k.Waiting), oldest, strings.Join(k.Notes, ", ")))
	}
	text := table([]string{"KIND", "SLOTS", "BUSY", "IDLE", "BLOCKED", "LOAD", "WAITING", "OLDEST", "NOTE"}, rows)
	rows = nil
	left := 0
	for _, n := range t.Nodes {
		quiet := n.Kind == cpu && len(n.Notes) == 0 && (n.Load == nil || *n.Load < loaded)
		switch {
		case !wide && quiet:
		case !wide && len(rows) == fewNodes:
			left++
		default:
			rows = append(rows, append(append([]string{n.Node, n.Kind}, n.cells(n.Kind)...), strings.Join(n.Notes, ", ")))
		}
	}
	if len(rows) > 0 {
		text += "\n" + table([]string{"NODE", "KIND", "SLOTS", "BUSY", "IDLE", "BLOCKED", "LOAD", "NOTE"}, rows)
	}
	if left > 0 {
		text += "and " + count(left, "line") + " more: see -o wide\n"
	}
	return text
}

func (u Use) cells(kind string) []string {
	amount := "%.0f"
	if kind == cpu { // in cores, of which pods request parts
		amount = "%.1f"
	}
	var cells []string
	for _, n := range []float64{u.Slots, u.Busy, u.Idle, u.Blocked} {
		cells = append(cells, fmt.Sprintf(amount, n))
	}
	return append(cells, percent(u.Load))
}
