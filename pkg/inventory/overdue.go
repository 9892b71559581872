package inventory

import (
	"time"

	"heteroaccel.io/pkg/accel"
)

// Overdue is a reservation whose pod was not seen in time: somebody denied the pod after
// us, or nobody was going to create it.
type Overdue struct {
	Namespace, Pod, Reservation string
	Kind                        accel.Kind
	// After is how long the pod was waited for, and For how much longer the reservation
	// claims capacity for it, 0 where it claims nothing any more.
	After, For time.Duration
}

// maxOverdue bounds what is kept for TakeOverdue.
const maxOverdue = 1000

// TakeOverdue returns what became overdue since it was called last, the earliest first, and
// how many more of them were not kept. Those of callers that are Suspect are neither kept
// nor counted: anybody could have people read what they like.
func (inv *Inventory) TakeOverdue() (overdue []Overdue, more int) {
	inv.mu.Lock()
	defer inv.mu.Unlock()
	inv.expire(inv.opts.Now())
	overdue, more = inv.late, inv.lateMore
	inv.late, inv.lateMore = nil, 0
	return overdue, more
}

// noteOverdue keeps an overdue reservation for TakeOverdue.
func (inv *Inventory) noteOverdue(r *reservation, after time.Duration) {
	if len(inv.late) == maxOverdue {
		inv.lateMore++
		return
	}
	o := Overdue{Namespace: r.namespace, Pod: r.pod, Reservation: r.id, Kind: r.kind, After: after}
	if r.claim.class != nil {
		o.For = r.expires.Sub(r.made) - after
	}
	inv.late = append(inv.late, o)
}

// trustOf is how far the caller of a reservation is trusted now.
func (inv *Inventory) trustOf(r *reservation, now time.Time) Trust {
	if r.caller == nil {
		return Trusted
	}
	return inv.callers.trust(r.caller.Connection, now)
}

// expire drops the reservations whose pods never came, and judges those whose pods
// are overdue. All live equally long, so both are the oldest.
func (inv *Inventory) expire(now time.Time) {
	grace := min(overdueAfter, inv.opts.ReservationTTL)
	for ; inv.judged < len(inv.queue) && now.Sub(inv.queue[inv.judged].made) > grace; inv.judged++ {
		if r := inv.queue[inv.judged]; !r.ended && r.caller != nil {
			inv.judge(r, r.made.Add(grace)) // which may be long ago, if nobody asked since
		}
	}
	for len(inv.queue) > 0 {
		r := inv.queue[0]
		if !r.ended && now.After(r.expires) {
			inv.endReservation(r.id)
		}
		if !r.ended {
			return
		}
		inv.queue[0] = nil
		inv.queue = inv.queue[1:]
		inv.judged = max(0, inv.judged-1)
	}
}

// judge holds it against the caller of a reservation that its pod is overdue, and
// decides what the reservation claims from now on.
func (inv *Inventory) judge(r *reservation, now time.Time) {
	inv.overdue++
	if inv.trustOf(r, now) != Suspect {
		defer inv.noteOverdue(r, now.Sub(r.made))
	}
	trusted, suspected := inv.trustOf(r, now) == Trusted, inv.callers.suspected(now)
	inv.callers.miss(r.caller.Connection, now)
	if !trusted {
		inv.unclaim(r)
		if !suspected && inv.callers.suspected(now) {
			inv.unclaimStrangers(now)
		}
		return
	}
	if !inv.hasNamespace(r.namespace) { // deleted meanwhile, with what its pods would be
		inv.unclaim(r)
		return
	}
	// The API server tells no lie about a namespace, but its users may create pods
	// that somebody always refuses.
	s := inv.standings[r.namespace]
	if s == nil {
		s = &standing{}
		inv.standings[r.namespace] = s
	}
	if s.miss(now); s.overdue > 1 {
		inv.unclaim(r)
	}
}

// unclaimStrangers ends all claims of callers that are Suspect from now on.
func (inv *Inventory) unclaimStrangers(now time.Time) {
	for _, r := range inv.reservations {
		if r.stranger && inv.trustOf(r, now) != Trusted {
			inv.unclaim(r)
		}
	}
}

// Overdue is how many reservations were overdue so far.
func (inv *Inventory) Overdue() int {
	inv.mu.Lock()
	defer inv.mu.Unlock()
	inv.expire(inv.opts.Now())
	return inv.overdue
}
