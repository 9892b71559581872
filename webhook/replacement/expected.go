package replacement

import (
	"slices"
	"sync"
	"time"

	"heteroaccel.io/pkg/accel"
)

// Expected is a pod that is expected to replace another.
type Expected struct {
	// Reservation is what was reserved for it, "" for nothing.
	Reservation string
	// Kind is the kind that the pod before it is recreated for: what is reserved,
	// and what the API server would admit.
	Kind accel.Kind
	// Count is how often the pod was recreated, this time included.
	Count int
	// From is the kind that the pod before it waited for, or serves on until this one is
	// ready: then Serving is set.
	From    accel.Kind
	Serving bool
	// FirstAdmitted is when the first of the pods was admitted that it replaces: its
	// deadline counts from then. Zero is unknown.
	FirstAdmitted time.Time

	expires time.Time
	// matched is when a pod first matched it, which then is to carry Reservation:
	// until that pod is seen, its controller may have to try again.
	matched time.Time
	// lent are the latest reservations of pods that it was lent to, lends how many
	// there were.
	lent  []string
	lends int
}

const (
	// expectedFor is how long a replacement is expected. Its reservation expires
	// by itself.
	expectedFor = 2 * time.Minute
	// retriedFor is how long a controller whose create was refused is given the
	// same expectation again. A quota for instance still counts the pod before
	// it for a moment after that is gone.
	retriedFor = 5 * time.Second
	// maxLent bounds to how many pods one is lent at a time: the others are forgotten.
	maxLent = 256
)

// Expectations are the replacements that have not been seen yet, the oldest
// first. The zero value has none. The methods may be called from any goroutine:
// the lock is held for map operations only.
type Expectations struct {
	mu       sync.Mutex
	byOrigin map[Origin][]*Expected
}

// Add expects a replacement.
func (x *Expectations) Add(o Origin, e *Expected, now time.Time) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.add(o, e, now)
}

// AddUnlessPending expects a replacement unless one of this origin is expected
// already.
func (x *Expectations) AddUnlessPending(o Origin, e *Expected, now time.Time) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.next(o, now) == nil {
		x.add(o, e, now)
	}
}

func (x *Expectations) add(o Origin, e *Expected, now time.Time) {
	e.expires = now.Add(expectedFor)
	if x.byOrigin == nil {
		x.byOrigin = map[Origin][]*Expected{}
	}
	x.byOrigin[o] = append(x.byOrigin[o], e)
}

// Prolong expects a replacement for as long again, unless a pod has matched it.
func (x *Expectations) Prolong(o Origin, e *Expected, now time.Time) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if slices.Contains(x.byOrigin[o], e) && e.matched.IsZero() {
		e.expires = now.Add(expectedFor)
	}
}

// Peek returns what Match would, and changes nothing: for a dry run.
func (x *Expectations) Peek(o Origin, now time.Time) (Expected, bool) {
	x.mu.Lock()
	defer x.mu.Unlock()
	e := x.next(o, now)
	if e == nil {
		return Expected{}, false
	}
	return *e, true
}

// Match returns the oldest replacement expected of an origin, for a pod that
// will carry a reservation of its own. Each is given once, except to a
// controller that tries again because its pod was not created: it is given the
// same, with the reservation of the first try to be released.
func (x *Expectations) Match(o Origin, reservation string, now time.Time) (Expected, bool) {
	x.mu.Lock()
	defer x.mu.Unlock()
	e := x.next(o, now)
	if e == nil {
		return Expected{}, false
	}
	given := *e
	e.Reservation = reservation
	if e.matched.IsZero() {
		e.matched = now
	}
	return given, true
}

// Lend returns what Match would, to a caller that may announce a pod which never
// comes: the expectation stays for others, until a pod with this reservation is seen.
// Of several the one is lent that was lent least.
func (x *Expectations) Lend(o Origin, reservation string, now time.Time) (Expected, bool) {
	x.mu.Lock()
	defer x.mu.Unlock()
	e := x.next(o, now)
	if e == nil {
		return Expected{}, false
	}
	for _, other := range x.byOrigin[o] {
		if other.matched.IsZero() && other.lends < e.lends {
			e = other
		}
	}
	given := *e
	given.lent = nil
	if len(e.lent) >= maxLent {
		e.lent = slices.Delete(e.lent, 0, 1)
	}
	e.lent = append(e.lent, reservation)
	e.lends++
	return given, true
}

// next returns the oldest that no pod has matched, or else one that was matched
// just now and whose pod has not been seen; nil when there is none.
func (x *Expectations) next(o Origin, now time.Time) *Expected {
	x.drop(o, func(e *Expected) bool {
		return now.After(e.expires) || !e.matched.IsZero() && now.Sub(e.matched) > retriedFor
	})
	for _, e := range x.byOrigin[o] {
		if e.matched.IsZero() {
			return e
		}
	}
	if len(x.byOrigin[o]) > 0 {
		return x.byOrigin[o][0]
	}
	return nil
}

// Seen ends the expectation of a pod that was created. It returns the reservation
// that was held for it all the while, "" if the pod's was in its place.
func (x *Expectations) Seen(o Origin, reservation string) (held string) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.drop(o, func(e *Expected) bool {
		if slices.Contains(e.lent, reservation) {
			held = e.Reservation
			return true
		}
		return !e.matched.IsZero() && e.Reservation == reservation
	})
	return held
}

// Withdraw ends an expectation; false when a pod has matched it.
func (x *Expectations) Withdraw(o Origin, e *Expected) bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.withdraw(o, e)
}

func (x *Expectations) withdraw(o Origin, e *Expected) bool {
	n := len(x.byOrigin[o])
	x.drop(o, func(other *Expected) bool { return other == e && e.matched.IsZero() })
	return len(x.byOrigin[o]) < n
}

// Move expects a replacement of another origin instead; false when a pod has
// matched it.
func (x *Expectations) Move(e *Expected, from, to Origin, now time.Time) bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	if !x.withdraw(from, e) {
		return false
	}
	x.add(to, e, now)
	return true
}

// Revoke ends an expectation even if a pod has matched it, because that pod is
// not created. It returns the reservation, that of the pod if one has.
func (x *Expectations) Revoke(o Origin, e *Expected) (reservation string) {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.revoke(o, e)
}

func (x *Expectations) revoke(o Origin, e *Expected) string {
	x.drop(o, func(other *Expected) bool { return other == e })
	e.matched = time.Time{}
	return e.Reservation
}

// Return revokes an expectation and expects it of another origin, in one step.
func (x *Expectations) Return(e *Expected, from, to Origin, now time.Time) (reservation string) {
	x.mu.Lock()
	defer x.mu.Unlock()
	reservation = x.revoke(from, e)
	x.add(to, e, now)
	return reservation
}

// Expire forgets the replacements that never came.
func (x *Expectations) Expire(now time.Time) {
	x.mu.Lock()
	defer x.mu.Unlock()
	for o := range x.byOrigin {
		x.drop(o, func(e *Expected) bool { return now.After(e.expires) })
	}
}

func (x *Expectations) drop(o Origin, gone func(*Expected) bool) {
	if len(x.byOrigin[o]) == 0 {
		return
	}
	var kept []*Expected
	for _, e := range x.byOrigin[o] {
		if !gone(e) {
			kept = append(kept, e)
		}
	}
	if x.byOrigin[o] = kept; len(kept) == 0 {
		delete(x.byOrigin, o)
	}
}
