package inventory

import (
	"time"

	"heteroaccel.io/pkg/accel"
	"heteroaccel.io/pkg/quota"
	"heteroaccel.io/pkg/text"
	"k8s.io/apimachinery/pkg/util/validation"
)

// reservation is a decision whose pod the API server has not shown us yet. It
// claims capacity like a pending pod, as long as its caller is trusted that far.
//
//	made ──▶ its pod is seen: the caller is Trusted
//	  └─ overdueAfter ─▶ overdue: held against the caller; claims on only if it is
//	                     Trusted and its namespace has no other overdue one
//	       └─ ReservationTTL ─▶ expired
type reservation struct {
	id, namespace string
	pod           string // as of Query
	kind          accel.Kind
	// claim has no class once it claims nothing.
	claim      claim
	quotaUsage quota.Usage
	// caller is nil for one of our own, for a pod that is there.
	caller        *Caller
	made, expires time.Time
	// stranger is set when the caller was not Trusted, ended once it is over.
	stranger, ended bool
}

const (
	// maxReserved bounds the reservations of a namespace that claim: the webhook
	// admits 140 pods a second and the API server shows each within one, so a burst
	// from one Job has far fewer.
	maxReserved = 1024
	// maxUnproven bounds those that claim for callers that are Unproven, of all
	// namespaces: what a burst has until the first of its pods is seen.
	maxUnproven = 256
	// maxName is the length of the longest name that the API server accepts: it checks
	// a pod after us.
	maxName = validation.DNS1123SubdomainMaxLength
	// maxStrangers bounds all that are kept for callers that are not Trusted.
	maxStrangers = 4096
)

// Reserved returns the kind of a live reservation. A pod that the API server
// sends again, because another webhook changed it, keeps its kind this way.
func (inv *Inventory) Reserved(namespace, id string) (accel.Kind, bool) {
	inv.mu.Lock()
	defer inv.mu.Unlock()
	r := inv.reservations[id]
	if r == nil || r.namespace != namespace || inv.opts.Now().After(r.expires) {
		return "", false
	}
	return r.kind, true
}

// Prolong has a reservation of our own, for a pod that is still to come, live as long
// again. One that is gone stays so.
func (inv *Inventory) Prolong(namespace, id string) {
	inv.mu.Lock()
	defer inv.mu.Unlock()
	now := inv.advance()
	r := inv.reservations[id]
	if r == nil || r.namespace != namespace || r.caller != nil || now.After(r.expires) {
		return
	}
	later := *r
	later.made, later.expires = now, now.Add(inv.opts.ReservationTTL)
	r.ended = true // the queue is in the order of expiry: it passes over this one
	inv.reservations[id] = &later
	inv.queue = append(inv.queue, &later)
}

// Release releases a reservation whose pod is known not to come. One that does
// not exist, or is of another namespace, is left alone.
func (inv *Inventory) Release(namespace, id string) {
	inv.mu.Lock()
	defer inv.mu.Unlock()
	inv.release(namespace, id)
}

// Abandon has a reservation claim nothing from now on, on the word of a caller that its
// pod does not come. It may come all the same, or be overdue. Of a caller that is not
// Trusted it concerns only what was reserved over the same connection.
func (inv *Inventory) Abandon(c Caller, namespace, id string) {
	inv.mu.Lock()
	defer inv.mu.Unlock()
	r := inv.reservations[id]
	if r == nil || r.namespace != namespace {
		return
	}
	if r.caller != nil && *r.caller == c || inv.callers.trust(c.Connection, inv.advance()) == Trusted {
		inv.unclaim(r)
	}
}

// ReleaseAll releases every reservation. The pods of those that an earlier term of
// ours made are there by now, or do not come: what is known of them is in the feeds.
func (inv *Inventory) ReleaseAll() {
	inv.mu.Lock()
	defer inv.mu.Unlock()
	for id := range inv.reservations {
		inv.endReservation(id)
	}
}

func (inv *Inventory) release(namespace, id string) {
	if r := inv.reservations[id]; r != nil && r.namespace == namespace {
		inv.endReservation(id)
	}
}

// Reservations is how many reservations are live.
func (inv *Inventory) Reservations() int {
	inv.mu.Lock()
	defer inv.mu.Unlock()
	inv.expire(inv.opts.Now())
	return len(inv.reservations)
}

// reserve creates the reservation of a query for the option that was chosen, in place of
// one with the same id.
func (inv *Inventory) reserve(q Query, chosen Option, now time.Time) {
	id, namespace := q.Reservation, q.Namespace
	inv.endReservation(id)
	r := &reservation{
		id: id, namespace: namespace, pod: text.Shorten(q.Pod, maxName),
		kind:   chosen.Kind,
		caller: q.Caller, made: now, expires: now.Add(inv.opts.ReservationTTL),
	}
	// A quota that comes before the pod does counts no more of it than its requests.
	if inv.quotas.Limits(namespace) {
		r.quotaUsage = chosen.quotaUsage()
	}
	if len(r.quotaUsage.PriorityClass) > maxName {
		r.quotaUsage.PriorityClass = "" // there is none of such a name
	}
	trust := inv.trustOf(r, now)
	if r.stranger = trust != Trusted; r.stranger {
		if !inv.hasNamespace(namespace) {
			return
		}
		if inv.strangers >= maxStrangers {
			inv.dropStranger()
		}
		inv.strangers++
	}
	inv.reservations[id] = r
	inv.queue = append(inv.queue, r)
	if inv.mayClaim(r, trust, now) {
		if r.claim = inv.addClaim(namespace, chosen.Needs, chosen.Constraints, false); r.claim.class == nil {
			return
		}
		inv.quotas.Add(namespace, r.quotaPod())
		inv.reserved[r.claimant()]++
	}
}

// mayClaim reports whether a new reservation claims capacity.
func (inv *Inventory) mayClaim(r *reservation, trust Trust, now time.Time) bool {
	if r.stranger {
		return trust == Unproven && inv.reserved[r.claimant()] < maxUnproven
	}
	s := inv.standings[r.namespace]
	return inv.reserved[r.claimant()] < maxReserved && (r.caller == nil || s == nil || !s.worse(maxOverdueOfNamespace, now))
}

// claimant is whose bound a reservation counts against: its namespace's, or "" for
// that of all strangers.
func (r *reservation) claimant() string {
	if r.stranger {
		return ""
	}
	return r.namespace
}

// unclaim has a reservation claim nothing from now on.
func (inv *Inventory) unclaim(r *reservation) {
	if r.claim.class == nil {
		return
	}
	inv.quotas.Remove(r.namespace, r.quotaPod())
	inv.removeClaim(r.claim)
	r.claim = claim{}
	of := r.claimant()
	if inv.reserved[of]--; inv.reserved[of] == 0 {
		delete(inv.reserved, of)
	}
}

// endReservation drops a reservation, if there is one.
func (inv *Inventory) endReservation(id string) {
	r := inv.reservations[id]
	if r == nil {
		return
	}
	inv.unclaim(r)
	if r.stranger {
		inv.strangers--
	}
	delete(inv.reservations, id)
	// It may be in the queue for a while.
	r.ended, r.quotaUsage = true, quota.Usage{}
}

// dropStranger drops any one of the reservations of callers that were not Trusted:
// the one that will become a pod within a moment is hardly ever hit.
func (inv *Inventory) dropStranger() {
	for id, r := range inv.reservations {
		if r.stranger {
			inv.endReservation(id)
			return
		}
	}
}

// fulfil drops the reservation of a pod that was created, and reports whether
// there was one. It has to be of the pod's namespace: anybody may write the
// annotation, and must not drop reservations of other namespaces with it.
func (inv *Inventory) fulfil(p *Pod) bool {
	if p.Managed == nil || p.Managed.Reservation == "" {
		return false
	}
	r := inv.reservations[p.Managed.Reservation]
	if r == nil || r.namespace != p.Namespace {
		return false
	}
	inv.endReservation(r.id)
	if r.caller != nil {
		inv.callers.confirm(r.caller.Connection)
		delete(inv.standings, r.namespace)
	}
	return true
}
