package live

import (
	"reflect"
	"slices"
	"time"
)

// loads are the rows of nodes without their loads, and when these were last taken anew.
// Loads change with every scrape: of many nodes they would be most of what is sent.
type loads map[string]settled

type settled struct {
	row Node // without loads
	at  time.Time
}

// loadsPerSecond is of how many nodes a second the loads are taken anew.
const loadsPerSecond = 200

// take reports whether a row is to be taken: more than its loads has changed, or these
// were last taken so long ago that it is this node's turn again, of so many.
func (l loads) take(row *Node, nodes int, now time.Time) bool {
	without := row.withoutLoads()
	if known, ok := l[row.Name]; ok && now.Sub(known.at) < time.Duration(nodes)*time.Second/loadsPerSecond && reflect.DeepEqual(known.row, without) {
		return false
	}
	l[row.Name] = settled{without, now}
	return true
}

func (n Node) withoutLoads() Node {
	n.CPU.Load, n.CPU.Free = nil, 0 // cores that are busy are not free
	n.Devices = slices.Clone(n.Devices)
	for i := range n.Devices {
		n.Devices[i].Load = nil
	}
	return n
}
