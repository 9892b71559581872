package session

import (
	"maps"
	"slices"
	"time"
)

// Table is all sessions and servers, with what makes these reachable. It is not safe for concurrent use.
type Table struct {
	sessions map[string]*Session
	servers  map[string]*Server
	pools    map[Pool]*members
	// services are by the name of the server, and external are the external
	// addresses of nodes.
	services map[string]*Service
	external map[string]string
	// gateway is what servers are reached by, nil for none, and routes are by the
	// name of the server.
	gateway *Gateway
	routes  map[string]*Route
}

// members are the sessions and servers of a pool.
type members struct {
	// queue are the sessions that wait, in order.
	queue []*Session
	// servers are those of the pool, and served the sessions of each server.
	servers map[string]*Server
	served  map[string]map[string]*Session
}

// NewTable returns an empty table.
func NewTable() *Table {
	return &Table{
		sessions: map[string]*Session{}, servers: map[string]*Server{}, pools: map[Pool]*members{},
		services: map[string]*Service{}, external: map[string]string{}, routes: map[string]*Route{},
	}
}

// Session returns a session, or nil.
func (t *Table) Session(id string) *Session { return t.sessions[id] }

// Server returns a server, or nil.
func (t *Table) Server(name string) *Server { return t.servers[name] }

// Sessions returns the sessions of a client, the oldest first; of everybody for
// "".
func (t *Table) Sessions(client string) []*Session {
	var own []*Session
	for _, s := range t.sessions {
		if client == "" || s.Client == client {
			own = append(own, s)
		}
	}
	slices.SortFunc(own, func(a, b *Session) int { return a.Created.Compare(b.Created) })
	return own
}

// CountOf is how many sessions a client has.
func (t *Table) CountOf(client string) (n int) {
	for _, s := range t.sessions {
		if s.Client == client {
			n++
		}
	}
	return n
}

// Pools returns the pools that have a session or a server.
func (t *Table) Pools() []Pool { return slices.Collect(maps.Keys(t.pools)) }

// Servers are how many servers there are.
func (t *Table) Servers() int { return len(t.servers) }

// Put takes a new or changed session.
func (t *Table) Put(s *Session) {
	t.Remove(s.ID)
	t.sessions[s.ID] = s
	m := t.pool(s.Pool)
	if s.Server == "" {
		i, _ := slices.BinarySearchFunc(m.queue, s, before)
		m.queue = slices.Insert(m.queue, i, s)
		return
	}
	if m.served[s.Server] == nil {
		m.served[s.Server] = map[string]*Session{}
	}
	m.served[s.Server][s.ID] = s
}

// Remove forgets a session.
func (t *Table) Remove(id string) {
	s := t.sessions[id]
	if s == nil {
		return
	}
	delete(t.sessions, id)
	m := t.pool(s.Pool)
	if s.Server == "" {
		i, _ := slices.BinarySearchFunc(m.queue, s, before)
		m.queue = slices.Delete(m.queue, i, i+1)
	} else {
		delete(m.served[s.Server], id)
		if len(m.served[s.Server]) == 0 {
			delete(m.served, s.Server)
		}
	}
	t.drop(s.Pool)
}

// PutServer takes a new or changed server, whose address may follow from its
// Service, its route and its node.
func (t *Table) PutServer(v *Server) {
	t.RemoveServer(v.Name)
	v = t.located(v)
	t.servers[v.Name] = v
	t.pool(v.Pool).servers[v.Name] = v
}

// RemoveServer forgets a server. Its sessions stay, and are planned for.
func (t *Table) RemoveServer(name string) {
	v := t.servers[name]
	if v == nil {
		return
	}
	delete(t.servers, name)
	delete(t.pool(v.Pool).servers, name)
	t.drop(v.Pool)
}

func (t *Table) pool(p Pool) *members {
	m := t.pools[p]
	if m == nil {
		m = &members{servers: map[string]*Server{}, served: map[string]map[string]*Session{}}
		t.pools[p] = m
	}
	return m
}

// drop forgets a pool that is empty.
func (t *Table) drop(p Pool) {
	if m := t.pools[p]; m != nil && len(m.queue)+len(m.servers)+len(m.served) == 0 {
		delete(t.pools, p)
	}
}

// Position is a session's place in the queue, 1 for the first, and how many
// wait in all; 0 for one that does not wait.
func (t *Table) Position(s *Session) (position, of int) {
	m := t.pools[s.Pool]
	if s.Server != "" || m == nil {
		return 0, 0
	}
	i, found := slices.BinarySearchFunc(m.queue, s, before)
	if !found {
		return 0, 0
	}
	return i + 1, len(m.queue)
}

// Free is the ready server of a pool that the next session would get at once,
// nil when there is none or others wait. perServer is how many sessions a server
// takes.
func (t *Table) Free(p Pool, perServer int) *Server {
	m := t.pools[p]
	if m == nil || len(m.queue) > 0 {
		return nil
	}
	return m.free(perServer)
}

// free prefers the server with the most sessions, so that the others can go,
// and then the oldest.
func (m *members) free(perServer int) *Server {
	var best *Server
	for _, v := range m.servers {
		n := len(m.served[v.Name])
		if v.Phase != Ready || n >= perServer {
			continue
		}
		if best == nil || n > len(m.served[best.Name]) || n == len(m.served[best.Name]) && older(v, best) {
			best = v
		}
	}
	return best
}

func older(a, b *Server) bool {
	if !a.Created.Equal(b.Created) {
		return a.Created.Before(b.Created)
	}
	return a.Name < b.Name
}

// Expired are the sessions that were not renewed in time, and when the next one
// expires, the zero time when there is none.
func (t *Table) Expired(now time.Time) (expired []*Session, next time.Time) {
	for _, s := range t.sessions {
		if at := s.Expires(); !now.Before(at) {
			expired = append(expired, s)
		} else if next.IsZero() || at.Before(next) {
			next = at
		}
	}
	return expired, next
}

// Count is how many sessions wait, and how many are served.
func (t *Table) Count() (waiting, served int) {
	for _, m := range t.pools {
		waiting += len(m.queue)
	}
	return waiting, len(t.sessions) - waiting
}

// Oldest is when the session that has waited longest was asked for, the zero time
// when none waits.
func (t *Table) Oldest() (created time.Time) {
	for _, m := range t.pools {
		for _, s := range m.queue {
			if created.IsZero() || s.Created.Before(created) {
				created = s.Created
			}
		}
	}
	return created
}

// Shared is how many sessions have their server together with others.
func (t *Table) Shared() (n int) {
	for _, m := range t.pools {
		for _, sessions := range m.served {
			if len(sessions) > 1 {
				n += len(sessions)
			}
		}
	}
	return n
}

// Coming is the server of a pool that is next to be ready, nil when none is on
// its way, and how many are ready.
func (t *Table) Coming(p Pool) (next *Server, ready int) {
	m := t.pools[p]
	if m == nil {
		return nil, 0
	}
	for _, v := range m.servers {
		switch {
		case v.Phase == Ready:
			ready++
		case v.Phase == Gone:
		case next == nil || v.Phase > next.Phase || v.Phase == next.Phase && older(v, next):
			next = v
		}
	}
	return next, ready
}
