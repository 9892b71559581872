package inventory

import (
	"cmp"
	"math"
	"slices"
	"time"

	"heteroaccel.io/pkg/resources"
)

// maxTables bounds the tables: 80 KB each with 5,000 nodes, and a few tens of
// nanoseconds whenever a node changes.
const maxTables = 32

// A shape is what many pods have in common for a scheduler: the same needs and
// the same constraints. Pods come in few shapes, one for each template, and so
// what a decision asks of thousands of nodes is kept by shape: the pods that
// wait are counted, and a shape that was asked about has a table of what each
// node has for it, which every change of a node updates. A decision then
// reads sums.
type podClass struct {
	key      string
	needs    resources.Amounts
	eligible *eligibleNodes
	// claims is how many pods and reservations of this shape wait.
	claims int64
	// unschedulable is for how many of them the scheduler found no node.
	unschedulable int64
	// table is nil until a decision asks for it.
	table *fitTable
}

// class returns the one shape of these needs and constraints.
func (inv *Inventory) class(needs resources.Amounts, c *Constraints) *podClass {
	var buf [256]byte
	key := needs.AppendKey(buf[:0])
	if c != nil {
		key = append(key, c.key...)
	}
	if s := inv.classes[string(key)]; s != nil {
		return s
	}
	s := &podClass{key: string(key), needs: needs, eligible: inv.eligibleFor(c)}
	s.eligible.classes++
	inv.classes[s.key] = s
	return s
}

// claim is a pod or a reservation that waits.
type claim struct {
	class         *podClass
	unschedulable bool // the scheduler found no node for it
}

// addClaim counts one more that waits. Who joined must leave.
func (inv *Inventory) addClaim(needs resources.Amounts, c *Constraints, judged bool) claim {
	s := inv.class(needs, c)
	if judged {
		s.unschedulable++
	}
	if s.claims++; s.claims == 1 {
		i, _ := slices.BinarySearchFunc(inv.claiming, s, claimOrder)
		inv.claiming = slices.Insert(inv.claiming, i, s)
	}
	return claim{s, judged}
}

// removeClaim undoes a join.
func (inv *Inventory) removeClaim(w claim) {
	inv.wake()
	s := w.class
	if w.unschedulable {
		s.unschedulable--
	}
	if s.claims--; s.claims == 0 {
		i, _ := slices.BinarySearchFunc(inv.claiming, s, claimOrder)
		inv.claiming = slices.Delete(inv.claiming, i, i+1)
		inv.dropUnused(s)
	}
}

// claimOrder orders claims: those tied to certain nodes first, the rest by what is
// the same however they came, so that the same state gives the same answer.
func claimOrder(a, b *podClass) int {
	if tied := a.eligible.restricted(); tied != b.eligible.restricted() {
		if tied {
			return -1
		}
		return 1
	}
	return cmp.Compare(a.key, b.key)
}

// dropUnused drops a shape that is of no more use.
func (inv *Inventory) dropUnused(s *podClass) {
	if s.claims > 0 || s.table != nil {
		return
	}
	delete(inv.classes, s.key)
	if s.eligible.classes--; s.eligible.classes == 0 {
		delete(inv.eligible, s.eligible.key())
	}
}

// tableOf returns the table of a shape. The one that was not asked for the
// longest gives way to a new one.
func (inv *Inventory) tableOf(s *podClass) *fitTable {
	inv.tableUses++
	if s.table != nil {
		s.table.lastUsed = inv.tableUses
		return s.table
	}
	if len(inv.withTable) >= maxTables {
		oldest := slices.MinFunc(inv.withTable, func(a, b *podClass) int { return cmp.Compare(a.table.lastUsed, b.table.lastUsed) })
		inv.withTable = slices.DeleteFunc(inv.withTable, func(o *podClass) bool { return o == oldest })
		oldest.table = nil
		inv.dropUnused(oldest)
	}
	s.table = &fitTable{lastUsed: inv.tableUses, fits: make([]nodeFit, len(inv.byIndex))}
	inv.withTable = append(inv.withTable, s)
	for i, n := range inv.byIndex {
		s.table.set(i, s.fit(n))
	}
	now := inv.opts.Now()
	s.table.changed, s.table.full, s.table.fullSince, s.table.lastGain = now, s.table.usable == 0, now, now
	return s.table
}

// updateTables takes a node's change, or with nil its leaving, into all tables.
func (inv *Inventory) updateTables(place int, n *Node) {
	if len(inv.withTable) == 0 {
		return
	}
	now := inv.opts.Now()
	for _, s := range inv.withTable {
		t := s.table
		had := t.usable
		t.set(place, s.fit(n))
		if t.usable > had {
			t.lastGain = now
			inv.wake()
		}
		if full := t.usable == 0; full != t.full {
			t.setFull(full, now)
		}
	}
}

// nodeFit is what a node has for pods of one shape; the zero value for a node
// that they cannot run on. Pods that hold a node's devices are listed in its
// Holders.
type nodeFit struct {
	// total and slots are Node.Total and Node.Slots.
	total, free int32
	// ending is how many slots are held by pods that end by themselves.
	ending int32
	stale  bool
}

// fit judges a node, or nil.
func (s *podClass) fit(n *Node) nodeFit {
	if n == nil || !s.eligible.nodes.has(n.index) {
		return nodeFit{}
	}
	total := n.FitsEmpty(s.needs)
	if total == 0 {
		return nodeFit{}
	}
	r := nodeFit{total: clampInt32(total), free: clampInt32(n.Fits(s.needs, n.fresh)), stale: !n.fresh}
	var ending int64
	for _, p := range n.Holders {
		if p.Run.Ends {
			ending += claimSize(p.Needs, s.needs)
		}
	}
	r.ending = clampInt32(min(ending, total))
	return r
}

func clampInt32(n int64) int32 { return int32(min(n, math.MaxInt32)) }

// fitTable has a room for every node, by place, and their sums.
type fitTable struct {
	lastUsed uint64
	fits     []nodeFit
	// suitable, free and frees are where there is a room, where it has slots, and
	// where some are held by pods that end.
	suitable, withFree, withEnding nodeSet

	nodes, stale          int
	total, usable, ending int64
	// nodesEnding is how many places are in frees.
	nodesEnding int

	// full is whether usable is 0, since when; begun is when it became so for
	// the first time without a pause since.
	full               bool
	changed, fullSince time.Time
	// lastGain is when slots last became usable, or the table was made.
	lastGain time.Time
}

// minFree is for how long slots must stay free to count as free at all: between
// the end of a pod and the next one's binding they are, and mean nothing.
const minFree = 2 * time.Second

// setFull notes that the last slot was taken, or the first one freed.
func (t *fitTable) setFull(full bool, now time.Time) {
	if full && now.Sub(t.changed) > minFree {
		t.fullSince = now
	}
	t.full, t.changed = full, now
}

// fullFor is how long no slot has been free, pauses not counted.
func (t *fitTable) fullFor(now time.Time) time.Duration {
	if !t.full && now.Sub(t.changed) > minFree {
		return 0
	}
	return max(0, now.Sub(t.fullSince))
}

func (t *fitTable) set(place int, r nodeFit) {
	if place >= len(t.fits) {
		t.fits = append(t.fits, make([]nodeFit, place+1-len(t.fits))...)
	}
	if old := t.fits[place]; old != r {
		t.add(old, -1)
		t.add(r, 1)
		t.fits[place] = r
		t.suitable.set(place, r.total > 0)
		t.withFree.set(place, r.free > 0)
		t.withEnding.set(place, r.ending > 0)
	}
}

func (t *fitTable) add(r nodeFit, sign int) {
	if r.total == 0 {
		return
	}
	t.nodes += sign
	if r.stale {
		t.stale += sign
	}
	if r.ending > 0 {
		t.nodesEnding += sign
	}
	t.total += int64(sign) * int64(r.total)
	t.usable += int64(sign) * int64(r.free)
	t.ending += int64(sign) * int64(r.ending)
}
