package readmit

import (
	"time"

	"k8s.io/apimachinery/pkg/types"

	"heteroaccel.io/pkg/accel"
)

// Ticket is what a pod that comes in the place of another is entitled to.
type Ticket struct {
	// Hold is the reservation that was held for it, "" for none.
	Hold string
	// Count is how often the pod was made again, this time included.
	Count int
	// From is the kind that the pod before it waited for.
	From accel.Kind

	expires time.Time
}

// ticketLife is how long a new pod is expected for. Its hold ends with the
// reservation's own time.
const ticketLife = 2 * time.Minute

// place is where a new pod is expected: under a controller, whatever its name,
// or else under a name.
type place struct {
	namespace string
	owner     types.UID
	name      string
}

func placeOf(namespace string, owner types.UID, name string) place {
	if owner != "" {
		name = ""
	}
	return place{namespace, owner, name}
}

// tickets are those of the pods that are still expected, oldest first.
type tickets map[place][]*Ticket

// issue adds a ticket.
func (t tickets) issue(p place, k *Ticket, now time.Time) {
	k.expires = now.Add(ticketLife)
	t[p] = append(t[p], k)
}

// next returns the oldest ticket for a place, if any is left.
func (t tickets) next(p place, now time.Time) (Ticket, bool) {
	t.drop(p, func(k *Ticket) bool { return now.After(k.expires) })
	if len(t[p]) == 0 {
		return Ticket{}, false
	}
	return *t[p][0], true
}

// take returns the next ticket, and it is gone.
func (t tickets) take(p place, now time.Time) (Ticket, bool) {
	k, ok := t.next(p, now)
	if ok {
		first := t[p][0]
		t.drop(p, func(k *Ticket) bool { return k == first })
	}
	return k, ok
}

// withdraw takes a ticket back; false when it was taken already.
func (t tickets) withdraw(p place, k *Ticket) bool {
	n := len(t[p])
	t.drop(p, func(o *Ticket) bool { return o == k })
	return len(t[p]) < n
}

// expire drops what nobody came for.
func (t tickets) expire(now time.Time) {
	for p := range t {
		t.drop(p, func(k *Ticket) bool { return now.After(k.expires) })
	}
}

func (t tickets) drop(p place, gone func(*Ticket) bool) {
	var kept []*Ticket
	for _, k := range t[p] {
		if !gone(k) {
			kept = append(kept, k)
		}
	}
	if t[p] = kept; len(kept) == 0 {
		delete(t, p)
	}
}
