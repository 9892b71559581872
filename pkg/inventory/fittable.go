package inventory

import (
	"cmp"
	"math"
	"slices"
	"time"
)

// maxTables bounds the tables: 80 KB each with 5,000 nodes, and a few tens of
// nanoseconds whenever a node changes.
const maxTables = 32

// nodeFit is how many pods of a class a node could take; zero for a node that
// they cannot run on.
type nodeFit struct {
	// total is Node.FitsEmpty, free is Node.Fits.
	total, free int32
	// ending is how many of total are held by pods that end by themselves.
	ending int32
	stale  bool
}

// fit computes the fit of a node, zero for nil.
func (c *podClass) fit(n *Node) nodeFit {
	if n == nil || !c.eligible.nodes.has(n.index) {
		return nodeFit{}
	}
	total := n.FitsEmpty(c.needs)
	if total == 0 {
		return nodeFit{}
	}
	fit := nodeFit{total: clampInt32(total), free: clampInt32(n.Fits(c.needs, n.fresh)), stale: !n.fresh}
	var ending int64
	for _, p := range n.Holders {
		if p.Run.Ends {
			ending += claimSize(p.Holds(), c.needs)
		}
	}
	for _, p := range n.releasing {
		ending += claimSize(p.claims.releases, c.needs)
	}
	fit.ending = clampInt32(min(ending, total))
	return fit
}

func clampInt32(n int64) int32 { return int32(min(n, math.MaxInt32)) }

// fitTable has the fit of every node, by its index, and their sums.
type fitTable struct {
	lastUsed uint64
	fits     []nodeFit
	// suitable, withFree and withEnding are the nodes whose total, free and
	// ending are above 0.
	suitable, withFree, withEnding nodeSet

	nodes, stale          int
	total, usable, ending int64
	// nodesEnding is the size of withEnding.
	nodesEnding int

	// full is whether usable is 0, and changed since when; fullSince is when it
	// first became so, but for gaps of at most minFree.
	full               bool
	changed, fullSince time.Time
	// lastGain is when usable last grew, or the table was built.
	lastGain time.Time
}

// tableOf returns the table of a class, for a decision about a pod of a namespace, ""
// for none or one that may not be there. It builds it if there is none: when there are
// maxTables, in place of the one least recently used of the namespace that has most,
// so that nobody's many classes push out another's few.
func (inv *Inventory) tableOf(c *podClass, owner string) *fitTable {
	inv.tableUses++
	if c.table != nil {
		c.table.lastUsed = inv.tableUses
		if c.owner == "" {
			c.owner = owner
		}
		return c.table
	}
	c.owner = owner
	if len(inv.withTable) >= maxTables {
		tables := map[string]int{}
		for _, o := range inv.withTable {
			tables[o.owner]++
		}
		oldest := slices.MinFunc(inv.withTable, func(a, b *podClass) int {
			return cmp.Or(cmp.Compare(tables[b.owner], tables[a.owner]), cmp.Compare(a.table.lastUsed, b.table.lastUsed))
		})
		inv.withTable = slices.DeleteFunc(inv.withTable, func(o *podClass) bool { return o == oldest })
		oldest.table = nil
		inv.dropUnused(oldest)
	}
	t := &fitTable{lastUsed: inv.tableUses, fits: make([]nodeFit, len(inv.byIndex))}
	c.table = t
	inv.withTable = append(inv.withTable, c)
	for i, n := range inv.byIndex {
		t.set(i, c.fit(n))
	}
	now := inv.opts.Now()
	t.changed, t.full, t.fullSince, t.lastGain = now, t.usable == 0, now, now
	return t
}

// updateTables updates all tables after a change of the node with an index, nil
// when it is gone.
func (inv *Inventory) updateTables(index int, n *Node) {
	if len(inv.withTable) == 0 {
		return
	}
	now := inv.opts.Now()
	for _, c := range inv.withTable {
		t := c.table
		before := t.usable
		t.set(index, c.fit(n))
		if t.usable > before {
			t.lastGain = now
			inv.wake()
		}
		if full := t.usable == 0; full != t.full {
			t.setFull(full, now)
		}
	}
}

// minFree is how long a table must have something free to count as not full:
// between the end of a pod and the binding of the next there always is.
const minFree = 2 * time.Second

// setFull notes that nothing is free any more, or that something is again.
func (t *fitTable) setFull(full bool, now time.Time) {
	if full && now.Sub(t.changed) > minFree {
		t.fullSince = now
	}
	t.full, t.changed = full, now
}

// fullFor is how long nothing has been free, but for gaps of at most minFree.
func (t *fitTable) fullFor(now time.Time) time.Duration {
	if !t.full && now.Sub(t.changed) > minFree {
		return 0
	}
	return max(0, now.Sub(t.fullSince))
}

// set replaces the fit of the node with an index.
func (t *fitTable) set(index int, fit nodeFit) {
	if index >= len(t.fits) {
		t.fits = append(t.fits, make([]nodeFit, index+1-len(t.fits))...)
	}
	if old := t.fits[index]; old != fit {
		t.add(old, -1)
		t.add(fit, 1)
		t.fits[index] = fit
		t.suitable.set(index, fit.total > 0)
		t.withFree.set(index, fit.free > 0)
		t.withEnding.set(index, fit.ending > 0)
	}
}

// add adds a fit to the sums, or with sign -1 subtracts it.
func (t *fitTable) add(fit nodeFit, sign int) {
	if fit.total == 0 {
		return
	}
	t.nodes += sign
	if fit.stale {
		t.stale += sign
	}
	if fit.ending > 0 {
		t.nodesEnding += sign
	}
	t.total += int64(sign) * int64(fit.total)
	t.usable += int64(sign) * int64(fit.free)
	t.ending += int64(sign) * int64(fit.ending)
}
