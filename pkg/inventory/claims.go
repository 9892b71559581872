package inventory

import (
	"time"

	"heteroaccel.io/pkg/resources"
)

// firstFit is what is left to deal: the places with slots that nothing has claimed
// yet, and how many each has.
type firstFit struct {
	free nodeSet
	left []int32 // by place, good where free
}

// claims counts what waiting pods and reservations take of the slots that
// pods of shape s, which has a table, find free, and how many of them find
// none there but could run on one of the nodes.
//
// Each claim is dealt to spots it may use, those tied to certain nodes first.
// A pod that waits for a device elsewhere therefore takes nothing away here,
// and one that the scheduler passes over no device: see passedOver.
// Dealing is greedy: it can err, by calling a slot taken that a cleverer
// dealing would leave free, only where claims with different node affinities
// meet.
func (inv *Inventory) claims(s *podClass, now time.Time) (claimed, queued int64) {
	dealing := false
	for _, claim := range inv.claiming {
		size := claimSize(claim.needs, s.needs)
		if size == 0 {
			continue
		}
		waiting, judged := claim.claims, claim.unschedulable
		if inv.excluded.class == claim {
			waiting--
			if inv.excluded.unschedulable {
				judged--
			}
		}
		if judged > 0 && inv.passedOver(claim, now) {
			waiting -= judged
		}
		want := size * waiting
		if want == 0 {
			continue
		}
		if !dealing {
			inv.scratch.fill(s.table)
			dealing = true
		}
		took := inv.place(claim, want)
		claimed += took
		if took < want && inv.overlaps(claim, s.table) {
			queued += want - took
		}
	}
	return claimed, queued
}

// VerdictGrace is how long the scheduler has to give a pod what became usable:
// longer than the longest pause between its tries of one pod
// (podMaxBackoffSeconds, 10 s).
const VerdictGrace = 12 * time.Second

// passedOver reports whether the scheduler leaves something usable for the pods
// of a shape that it found no node for: it had the time to bind them and did
// not. Its plugins know more than we do, of volumes, of other pods' places, of
// ports, and what they keep from these pods is free for others. Once more
// becomes usable the pods claim it again.
func (inv *Inventory) passedOver(s *podClass, now time.Time) bool {
	if s.table == nil && len(inv.withTable) >= maxTables {
		return false // nothing is known of it, and decisions need the tables
	}
	t := inv.tableOf(s)
	return t.usable > 0 && now.Sub(t.lastGain) > VerdictGrace
}

// fill takes up the free slots of a table.
func (h *firstFit) fill(t *fitTable) {
	h.free = append(h.free[:0], t.withFree...)
	if len(h.left) < len(t.fits) {
		h.left = make([]int32, len(t.fits))
	}
	for i := range t.withFree.intersect(t.suitable) {
		h.left[i] = t.fits[i].free
	}
}

// place takes what a claim wants from where it may go and fits now.
func (inv *Inventory) place(claim *podClass, want int64) (took int64) {
	h := &inv.scratch
	for i := range h.free.intersect(claim.eligible.nodes) {
		if inv.byIndex[i].Fits(claim.needs, false) == 0 {
			continue
		}
		n := min(want-took, int64(h.left[i]))
		took += n
		h.left[i] -= int32(n)
		h.free.set(i, h.left[i] > 0)
		if took == want {
			break
		}
	}
	return took
}

// overlaps reports whether a claim could run on one of a table's nodes.
func (inv *Inventory) overlaps(claim *podClass, t *fitTable) bool {
	for i := range t.suitable.intersect(claim.eligible.nodes) {
		if inv.byIndex[i].FitsEmpty(claim.needs) > 0 {
			return true
		}
	}
	return false
}

// maxClaim bounds a claim, so that no number of them overflows.
const maxClaim = 1 << 32

// claimSize is how many slots of the size of need a claim takes, rounded up; 0
// when the two are after different things.
func claimSize(claim, need resources.Amounts) int64 {
	if len(need.Devices) == 0 {
		if len(claim.Devices) > 0 || claim.CPU == 0 || need.CPU == 0 {
			return 0
		}
		return min((claim.CPU+need.CPU-1)/need.CPU, maxClaim)
	}
	var slots int64
	for _, d := range need.Devices {
		if count := claim.Device(d.Resource); count > 0 {
			slots = max(slots, (count+d.Count-1)/max(1, d.Count))
		}
	}
	return min(slots, maxClaim)
}
