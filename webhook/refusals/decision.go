package refusals

import (
	"slices"
	"time"

	"heteroaccel.io/pkg/accel"
)

const (
	// informerLag is how long the informer may take to show a pod: no pod was
	// created, probably, for a decision that is older when its owner requests
	// another pod.
	informerLag = time.Second
	// decisionTTL is how long a decision waits for its pod.
	decisionTTL = 30 * time.Second
	// maxPerOwner bounds the decisions kept of one owner, maxOwners the owners.
	maxPerOwner = 64
	maxOwners   = 4096
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
	if len(m.pending) >= maxOwners {
		m.expire()
	}
	known := m.pending[o]
	if known == nil && len(m.pending) >= maxOwners && !m.makeRoom(o) {
		return
	}
	if len(known) >= maxPerOwner {
		delete(m.reservedFor, known[0].reservation)
		known = slices.Delete(known, 0, 1)
	}
	m.pending[o] = append(known, decision{reservation, kind, m.now()})
	m.reservedFor[reservation] = o
}

// ForgetDecisions forgets the decisions whose pod has not been seen, at the start of
// a term: another replica may have decided for the same owner since, and what is
// reported then is about its decision. What is known against kinds stays: it is what
// the API server and the scheduler said, to whoever led, and it expires.
func (m *Memory) ForgetDecisions() {
	m.mu.Lock()
	defer m.mu.Unlock()
	clear(m.pending)
	clear(m.reservedFor)
}

// Admitted notes that the pod of a decision was created: nothing is against its
// kind any more. The namespace must be that of the decision.
func (m *Memory) Admitted(namespace, reservation string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	o, ok := m.reservedFor[reservation]
	if !ok || o.Namespace != namespace {
		return
	}
	for _, d := range m.drop(o, func(d decision) bool { return d.reservation == reservation }) {
		for _, known := range []Owner{o, o.anyones()} {
			if kinds, ok := m.owners.Get(known); ok {
				delete(kinds, d.kind)
			}
		}
	}
}

// Canceled notes that no pod will be created for a decision, whatever the reason.
func (m *Memory) Canceled(namespace, reservation string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if o, ok := m.reservedFor[reservation]; ok && o.Namespace == namespace {
		m.drop(o, func(d decision) bool { return d.reservation == reservation })
	}
}

// Requested notes that an owner requests one more pod. It returns the reservations
// to release: no pod was created for them.
func (m *Memory) Requested(o Owner) (lost []string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := m.now()
	late := map[accel.Kind]int{}
	for _, d := range m.pending[o] {
		if age := now.Sub(d.at); age > informerLag && age < decisionTTL {
			lost = append(lost, d.reservation)
			late[d.kind]++
		}
	}
	m.drop(o, func(d decision) bool { return now.Sub(d.at) > decisionTTL })
	for kind, n := range late {
		if n >= 2 {
			m.exclude(o, kind, "")
			m.drop(o, func(d decision) bool { return d.kind == kind && now.Sub(d.at) > informerLag })
		}
	}
	return lost
}

// CreateFailed notes an owner's report that the API server refused to create a
// pod. It returns the reservations to release. While pods of several kinds are
// outstanding nobody can tell which was refused: ok is false then, and the report
// can be repeated once the pods that were admitted have been seen.
func (m *Memory) CreateFailed(o Owner, message string) (lost []string, ok bool) {
	if !byOthers(message) {
		return nil, true
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	asked := m.askedFor(o)
	var pending []decision
	for _, a := range asked {
		pending = append(pending, m.pending[a]...)
	}
	if len(pending) == 0 {
		return nil, true
	}
	kind := pending[0].kind
	if slices.ContainsFunc(pending, func(d decision) bool { return d.kind != kind }) {
		return nil, false
	}
	m.exclude(o, kind, message)
	for _, a := range asked {
		for _, d := range m.drop(a, func(decision) bool { return true }) {
			lost = append(lost, d.reservation)
		}
	}
	return lost, true
}

// askedFor is an owner as it was asked for by the API server, or else, where only
// that is known, over connections of which nobody knows whose they are.
func (m *Memory) askedFor(o Owner) (asked []Owner) {
	if len(m.pending[o]) > 0 {
		return []Owner{o}
	}
	for other := range m.pending {
		if other.anyones() == o {
			asked = append(asked, other)
		}
	}
	return asked
}

// makeRoom forgets an owner for another that the API server asks for; false when
// there is none to forget.
func (m *Memory) makeRoom(o Owner) bool {
	for other := range m.pending {
		if o.Connection == "" && other.Connection != "" {
			m.drop(other, func(decision) bool { return true })
			return true
		}
	}
	return false
}

// drop forgets the decisions of an owner that are over, and returns them.
func (m *Memory) drop(o Owner, over func(decision) bool) (dropped []decision) {
	all := m.pending[o]
	kept := slices.DeleteFunc(all, func(d decision) bool {
		if !over(d) {
			return false
		}
		dropped = append(dropped, d)
		delete(m.reservedFor, d.reservation)
		return true
	})
	switch {
	case len(kept) == 0:
		delete(m.pending, o)
	case len(kept) < len(all):
		m.pending[o] = kept
	}
	return dropped
}

// expire forgets the decisions of owners that never requested another pod, once a
// second at most: it goes through them all.
func (m *Memory) expire() {
	now := m.now()
	if now.Sub(m.expired) < time.Second {
		return
	}
	m.expired = now
	for o := range m.pending {
		m.drop(o, func(d decision) bool { return now.Sub(d.at) > decisionTTL })
	}
}
