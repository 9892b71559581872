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
	// Kind is what the pod before it was given up for: what was held, and what
	// the API server would let in.
	Kind accel.Kind
	// Count is how often the pod was recreated, this time included.
	Count int
	// From is the kind that the pod before it waited for.
	From accel.Kind

	expires time.Time
	// taken is when it was taken first, by the pod that would carry Hold: until
	// that has come, its controller may have to ask again.
	taken time.Time
}

const (
	// ticketLife is how long a new pod is expected for. Its hold ends with the
	// reservation's own time.
	ticketLife = 2 * time.Minute
	// insistence is for how long a controller whose create was refused gets
	// the same again. A quota for instance counts the pod before it off a
	// moment after that is gone.
	insistence = 5 * time.Second
)

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

// next returns the oldest ticket for a place that was not taken yet, or else
// one that was taken just now and whose pod has not come.
func (t tickets) next(p place, now time.Time) (*Ticket, bool) {
	t.drop(p, func(k *Ticket) bool {
		return now.After(k.expires) || !k.taken.IsZero() && now.Sub(k.taken) > insistence
	})
	for _, k := range t[p] {
		if k.taken.IsZero() {
			return k, true
		}
	}
	if len(t[p]) > 0 {
		return t[p][0], true
	}
	return nil, false
}

// take returns the next ticket, for a pod that will carry a reservation.
func (t tickets) take(p place, reservation string, now time.Time) (Ticket, bool) {
	k, ok := t.next(p, now)
	if !ok {
		return Ticket{}, false
	}
	given := *k
	k.Hold = reservation
	if k.taken.IsZero() {
		k.taken = now
	}
	return given, true
}

// arrived drops the ticket of a pod that has come.
func (t tickets) arrived(p place, reservation string) {
	if len(t[p]) > 0 {
		t.drop(p, func(k *Ticket) bool { return !k.taken.IsZero() && k.Hold == reservation })
	}
}

// withdraw takes a ticket back; false when it was taken already.
func (t tickets) withdraw(p place, k *Ticket) bool {
	n := len(t[p])
	t.drop(p, func(o *Ticket) bool { return o == k && k.taken.IsZero() })
	return len(t[p]) < n
}

// recall takes a ticket back, even from a pod that has not come yet.
func (t tickets) recall(p place, k *Ticket) {
	t.drop(p, func(o *Ticket) bool { return o == k })
	k.taken = time.Time{}
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
