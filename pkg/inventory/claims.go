package inventory

import (
	"time"

	"heteroaccel.io/pkg/resources"
)

// countClaims counts what pending pods and reservations take of the free
// capacity that pods of class c, which has a table, could use: claimed is how
// many such pods fit less because of them, and queued how many more of them fit
// nowhere now, but could run on one of the same nodes. left are the nodes with room
// for one of c beside all claims, until the next call.
//
// Each claim is placed first-fit on the nodes eligible for it, claims restricted
// to certain nodes first, and those of a class first of all on the nodes that
// their pods prefer. A pod that waits for a device elsewhere therefore takes
// nothing here, and neither does one that the scheduler passed over, see
// passedOver. First-fit can err, by calling something taken that a better
// placement would leave free, only where claims with different node affinities
// meet.
func (inv *Inventory) countClaims(c *podClass, now time.Time) (claimed, queued int64, left nodeSet) {
	left = c.table.withFree
	filled := false
	for _, other := range inv.claiming {
		size := claimSize(other.needs, c.needs)
		if size == 0 {
			continue
		}
		claims, unschedulable := other.claims, other.unschedulable
		if inv.excluded.class == other {
			claims--
			if inv.excluded.unschedulable {
				unschedulable--
			}
		}
		if unschedulable > 0 && inv.passedOver(other, now) {
			claims -= unschedulable
		}
		want := size * claims
		if want == 0 {
			continue
		}
		if !filled {
			inv.scratch.fill(c.table)
			filled = true
		}
		placed := inv.place(other, size, want)
		claimed += placed
		if placed < want && inv.overlaps(other, c.table) {
			queued += want - placed
		}
	}
	if filled {
		left = inv.scratch.nodes
	}
	return claimed, queued, left
}

// VerdictGrace is how long the scheduler has to bind a pod to what became
// usable: longer than the longest pause between its attempts at one pod
// (podMaxBackoffSeconds, 10 s).
const VerdictGrace = 12 * time.Second

// passedOver reports whether the scheduler leaves something usable that the
// unschedulable pods of a class could take: it had the time to bind them and did
// not. Its plugins know more than we do, of volumes, affinity between pods and
// host ports, so what they deny these pods is free for others. When more becomes
// usable the pods claim it again.
func (inv *Inventory) passedOver(c *podClass, now time.Time) bool {
	if c.table == nil && len(inv.withTable) >= maxTables {
		return false // unknown without a table, and decisions need those there are
	}
	t := inv.tableOf(c)
	return t.usable > 0 && now.Sub(t.lastGain) > VerdictGrace
}

// firstFit is the free capacity of a table that no claim has taken yet.
type firstFit struct {
	nodes nodeSet
	left  []int32 // by index of the node, valid for nodes
}

// fill starts from the free capacity of a table.
func (f *firstFit) fill(t *fitTable) {
	f.nodes = append(f.nodes[:0], t.withFree...)
	if len(f.left) < len(t.fits) {
		f.left = make([]int32, len(t.fits))
	}
	for i := range t.withFree.intersect(t.suitable) {
		f.left[i] = t.fits[i].free
	}
}

// place takes what claims of a class want, each as much as size, from the nodes
// that they prefer, then from all that are eligible.
func (inv *Inventory) place(c *podClass, size, want int64) (placed int64) {
	for _, p := range c.preferring {
		claims := p.claims
		if inv.excluded.class == c && inv.excluded.preferred == p.preferredNodes {
			claims--
		}
		if n := min(size*claims, want-placed); n > 0 {
			placed += inv.placeOn(p.nodes, c, n)
		}
	}
	if placed == want {
		return placed
	}
	return placed + inv.placeOn(c.eligible.nodes, c, want-placed)
}

// placeOn takes what claims of a class want from those of the nodes that are
// eligible and have room for one of its pods now.
func (inv *Inventory) placeOn(nodes nodeSet, c *podClass, want int64) (placed int64) {
	f := &inv.scratch
	for i := range f.nodes.intersect(nodes) {
		if !c.eligible.nodes.has(i) || inv.byIndex[i].Fits(c.needs, false) == 0 {
			continue
		}
		n := min(want-placed, int64(f.left[i]))
		placed += n
		f.left[i] -= int32(n)
		f.nodes.set(i, f.left[i] > 0)
		if placed == want {
			break
		}
	}
	return placed
}

// overlaps reports whether pods of a class could run on one of a table's nodes.
func (inv *Inventory) overlaps(c *podClass, t *fitTable) bool {
	for i := range t.suitable.intersect(c.eligible.nodes) {
		if inv.byIndex[i].FitsEmpty(c.needs) > 0 {
			return true
		}
	}
	return false
}

// maxClaim bounds the size of a claim, so that no sum of them overflows.
const maxClaim = 1 << 32

// claimSize is how many pods with these needs fit less because of a pod with
// the needs claimed, rounded up; 0 when they need different resources.
func claimSize(claimed, needs resources.Amounts) int64 {
	if len(needs.Devices) == 0 {
		if len(claimed.Devices) > 0 || claimed.CPU == 0 || needs.CPU == 0 {
			return 0
		}
		return min((claimed.CPU+needs.CPU-1)/needs.CPU, maxClaim)
	}
	var size int64
	for _, d := range needs.Devices {
		if count := claimed.Device(d.Resource); count > 0 {
			size = max(size, (count+d.Count-1)/max(1, d.Count))
		}
	}
	return min(size, maxClaim)
}
