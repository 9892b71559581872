package inventory

import (
	"time"

	"github.com/hashicorp/golang-lru/v2/simplelru"
)

// Caller is who asked for a decision on a pod that the API server has not shown yet.
type Caller struct {
	// Connection tells the connections of callers apart whom nobody vouches for; ""
	// for one who is known to be the API server.
	Connection string
}

// Trust is how far the word of a caller is taken that a pod will be created.
type Trust int

const (
	// Suspect is a caller that is Unproven while a pod that an Unproven one announced
	// did not come lately: its reservations claim nothing.
	Suspect Trust = iota
	// Unproven is a caller of whose reservations none became a pod yet, or too many
	// did not since the last one that did: its reservations claim until they are
	// overdue.
	Unproven
	// Trusted is the API server: it is authenticated, or a reservation of the same
	// connection became a pod.
	Trusted
)

const (
	// overdueAfter is how old a reservation is when its pod is overdue. The API
	// server shows a pod within a second; other webhooks may take a few more.
	overdueAfter = 10 * time.Second
	// maxOverdueOfConnection is how many reservations in a row may be overdue before a
	// connection is no longer Trusted, maxOverdueOfNamespace how many before further
	// ones of a namespace claim nothing. Of callers that are Unproven it takes one:
	// connections are free, so they are judged together.
	maxOverdueOfConnection, maxOverdueOfNamespace = 8, 3
	// forgetAfter is how long that is held against later ones.
	forgetAfter = 10 * time.Minute
	// maxCallers bounds the connections that are told apart, of each trust.
	maxCallers = 4096
)

// standing is what became of the reservations of a connection or a namespace.
type standing struct {
	// overdue is how many were overdue since one last became a pod, and last when
	// one last was.
	overdue int
	last    time.Time
}

// miss notes that a reservation is overdue.
func (s *standing) miss(now time.Time) {
	if now.Sub(s.last) > forgetAfter {
		s.overdue = 0
	}
	s.overdue++
	s.last = now
}

// worse reports whether so many were overdue, the last one lately.
func (s *standing) worse(than int, now time.Time) bool {
	return s.overdue >= than && now.Sub(s.last) <= forgetAfter
}

// callers is what is known of those who ask.
type callers struct {
	// proven have the standings of the connections of which a reservation became a
	// pod, the ones used longest ago are forgotten first.
	proven *simplelru.LRU[string, *standing]
	// strangers is that of all others.
	strangers standing
}

// suspected reports whether callers that are not Trusted are Suspect.
func (c *callers) suspected(now time.Time) bool { return c.strangers.worse(1, now) }

func newCallers() callers {
	proven, err := simplelru.NewLRU[string, *standing](maxCallers, nil)
	if err != nil {
		panic(err) // the size is a constant above 0
	}
	return callers{proven: proven}
}

// trust is how far a caller is trusted now. One without a connection is.
func (c *callers) trust(connection string, now time.Time) Trust {
	if connection == "" {
		return Trusted
	}
	if s, ok := c.proven.Get(connection); ok && !s.worse(maxOverdueOfConnection, now) {
		return Trusted
	}
	if c.suspected(now) {
		return Suspect
	}
	return Unproven
}

// confirm notes that a reservation of a connection became a pod.
func (c *callers) confirm(connection string) {
	if connection == "" {
		return
	}
	if s, ok := c.proven.Get(connection); ok {
		s.overdue = 0
		return
	}
	c.proven.Add(connection, &standing{})
}

// miss notes that a reservation of a connection is overdue.
func (c *callers) miss(connection string, now time.Time) {
	if connection == "" {
		return
	}
	if c.trust(connection, now) != Trusted {
		c.strangers.miss(now)
	} else if s, ok := c.proven.Peek(connection); ok {
		s.miss(now)
	}
}

// Trust is how far a caller is trusted now.
func (inv *Inventory) Trust(c Caller) Trust {
	inv.mu.Lock()
	defer inv.mu.Unlock()
	return inv.callers.trust(c.Connection, inv.advance())
}

// SetNamespace takes it that a namespace is there. From the first on, callers that
// are not Trusted reserve nothing in others.
func (inv *Inventory) SetNamespace(name string) {
	inv.mu.Lock()
	defer inv.mu.Unlock()
	if inv.namespaces == nil {
		inv.namespaces = map[string]struct{}{}
	}
	inv.namespaces[name] = struct{}{}
}

// DeleteNamespace takes it that a namespace is gone.
func (inv *Inventory) DeleteNamespace(name string) {
	inv.mu.Lock()
	defer inv.mu.Unlock()
	delete(inv.namespaces, name)
	delete(inv.standings, name)
}

// hasNamespace reports whether a namespace is there, as far as is known.
func (inv *Inventory) hasNamespace(name string) bool {
	_, ok := inv.namespaces[name]
	return ok || inv.namespaces == nil
}
