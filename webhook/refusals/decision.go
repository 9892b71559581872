package refusals

import (
	"slices"
	"time"

	"heteroaccel.io/pkg/accel"
)

const (
	// slow is how long the informer may take to show a pod: a decision that
	// is older when its owner asks again has probably come to nothing, and
	// counts against nothing any more.
	slow = time.Second
	// forgotten is when a decision is no longer waited for.
	forgotten = 30 * time.Second
	// pendingPerOwner bounds the decisions kept of one owner, pendingOwners of
	// how many owners some are.
	pendingPerOwner = 64
	pendingOwners   = 4096
)

// decision is one whose pod has not been seen.
type decision struct {
	reservation string
	kind        accel.Kind
	at          time.Time
}

// Decided notes that a kind was given to a pod of an owner under a reservation.
func (m *Memory) Decided(o Owner, reservation string, kind accel.Kind) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.pending) >= pendingOwners {
		m.expire()
	}
	known := m.pending[o]
	if known == nil && len(m.pending) >= pendingOwners {
		return
	}
	if len(known) >= pendingPerOwner {
		delete(m.carriers, known[0].reservation)
		known = slices.Delete(known, 0, 1)
	}
	m.pending[o] = append(known, decision{reservation, kind, m.now()})
	m.carriers[reservation] = o
}

// Admitted takes a pod's coming: its kind is let in. The namespace must be that of
// the decision.
func (m *Memory) Admitted(namespace, reservation string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	o, ok := m.carriers[reservation]
	if !ok || o.Namespace != namespace {
		return
	}
	for _, d := range m.drop(o, func(d decision) bool { return d.reservation == reservation }) {
		if kinds, ok := m.owners.Get(o); ok {
			delete(kinds, d.kind)
		}
	}
}

// Canceled takes it that nothing comes of a decision, for whatever reason.
func (m *Memory) Canceled(namespace, reservation string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if o, ok := m.carriers[reservation]; ok && o.Namespace == namespace {
		m.drop(o, func(d decision) bool { return d.reservation == reservation })
	}
}

// Requested takes an owner's asking for one more pod. It returns the reservations
// that nothing came of, which are to be given back.
func (m *Memory) Requested(o Owner) (lost []string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := m.now()
	late := map[accel.Kind]int{}
	for _, d := range m.pending[o] {
		if age := now.Sub(d.at); age > slow && age < forgotten {
			lost = append(lost, d.reservation)
			late[d.kind]++
		}
	}
	m.drop(o, func(d decision) bool { return now.Sub(d.at) > forgotten })
	for kind, n := range late {
		if n >= 2 {
			m.refuse(o, kind, "")
			m.drop(o, func(d decision) bool { return d.kind == kind && now.Sub(d.at) > slow })
		}
	}
	return lost
}

// CreateFailed takes the report of an owner that the API server refused to create a
// pod. It returns the reservations to give back. Where pods of several kinds
// are outstanding it cannot be told which was refused, unless all but those of
// one kind are too young to be known of: ok is false then, and the report can be
// given again when the pods that were let in have been seen.
func (m *Memory) CreateFailed(o Owner, message string) (lost []string, ok bool) {
	if !bySomebodyElse(message) {
		return nil, true
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	pending := m.pending[o]
	if len(pending) == 0 {
		return nil, true
	}
	kind := pending[0].kind
	if slices.ContainsFunc(pending, func(d decision) bool { return d.kind != kind }) {
		return nil, false
	}
	m.refuse(o, kind, message)
	for _, d := range m.drop(o, func(decision) bool { return true }) {
		lost = append(lost, d.reservation)
	}
	return lost, true
}

// drop forgets the decisions of an owner that are over, and returns them.
func (m *Memory) drop(o Owner, over func(decision) bool) (dropped []decision) {
	var kept []decision
	for _, d := range m.pending[o] {
		if over(d) {
			dropped = append(dropped, d)
			delete(m.carriers, d.reservation)
		} else {
			kept = append(kept, d)
		}
	}
	if m.pending[o] = kept; len(kept) == 0 {
		delete(m.pending, o)
	}
	return dropped
}

// expire forgets the decisions of owners that never asked again, once a second
// at most: it goes through them all.
func (m *Memory) expire() {
	now := m.now()
	if now.Sub(m.expired) < time.Second {
		return
	}
	m.expired = now
	for o := range m.pending {
		m.drop(o, func(d decision) bool { return now.Sub(d.at) > forgotten })
	}
}
