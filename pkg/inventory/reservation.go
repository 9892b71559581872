package inventory

import (
	"time"

	"heteroaccel.io/pkg/accel"
	"heteroaccel.io/pkg/quota"
)

// reservation is a decision whose pod the API server has not shown us yet. It
// claims capacity like a pending pod.
type reservation struct {
	namespace  string
	kind       accel.Kind
	claim      claim
	quotaUsage quota.Usage
	expires    time.Time
}

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

// Release releases a reservation whose pod is known not to come. One that does
// not exist, or is of another namespace, is left alone.
func (inv *Inventory) Release(namespace, id string) {
	inv.mu.Lock()
	defer inv.mu.Unlock()
	inv.release(namespace, id)
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

// reserve creates a reservation for the chosen option, in place of one with the
// same id.
func (inv *Inventory) reserve(id, namespace string, chosen Option, now time.Time) {
	inv.endReservation(id)
	r := &reservation{
		namespace:  namespace,
		kind:       chosen.Kind,
		claim:      inv.addClaim(chosen.Needs, chosen.Constraints, false),
		quotaUsage: chosen.QuotaUsage,
		expires:    now.Add(inv.opts.ReservationTTL),
	}
	inv.reservations[id] = r
	inv.quotas.Add(namespace, r.quotaPod())
	if len(inv.reservations) == 1 || r.expires.Before(inv.nextExpiry) {
		inv.nextExpiry = r.expires
	}
}

// endReservation drops a reservation, if there is one.
func (inv *Inventory) endReservation(id string) {
	if r := inv.reservations[id]; r != nil {
		delete(inv.reservations, id)
		inv.quotas.Remove(r.namespace, r.quotaPod())
		inv.removeClaim(r.claim)
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
	inv.endReservation(p.Managed.Reservation)
	return true
}

// expire drops the reservations whose pods never came.
func (inv *Inventory) expire(now time.Time) {
	if !now.After(inv.nextExpiry) {
		return
	}
	inv.nextExpiry = now.Add(inv.opts.ReservationTTL)
	for id, r := range inv.reservations {
		if now.After(r.expires) {
			inv.endReservation(id)
		} else if r.expires.Before(inv.nextExpiry) {
			inv.nextExpiry = r.expires
		}
	}
}
