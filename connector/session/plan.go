package session

import (
	"cmp"
	"slices"
	"time"
)

// Limits are what a profile says about its servers.
type Limits struct {
	// PerServer is how many sessions one server takes at a time, at least 1.
	PerServer int
	// Idle is how long a ready server without a session is kept.
	Idle time.Duration
	// Unknown is that nobody knows the profile: then no session leaves a server that
	// others share.
	Unknown bool
}

// Plan is what to do in one pool.
type Plan struct {
	// Assign has a server for each session that gets one, by id.
	Assign map[string]string
	// Requeue are sessions whose server is gone, or has too many.
	Requeue []*Session
	// Create is how many servers are missing.
	Create int
	// Delete are servers that nobody needs.
	Delete []*Server
	// Idle are ready servers that have just become idle, and Busy those that are
	// no longer.
	Idle, Busy []*Server
	// Expose are servers that need a Service and have none, and Withdraw the
	// Services that are not what their server needs.
	Expose   []*Server
	Withdraw []*Service
	// Attach and Detach are the same for routes.
	Attach []*Server
	Detach []*Route
	// Again is when to plan anew without any change, the zero time for never.
	Again time.Time
}

// Plan plans for one pool. Requeued sessions are planned for once the table
// shows them waiting.
func (t *Table) Plan(p Pool, limits Limits, now time.Time) Plan {
	m := t.pools[p]
	if m == nil {
		return Plan{}
	}
	plan := Plan{Assign: map[string]string{}, Requeue: m.stranded(limits, now)}
	m.assign(&plan, limits.PerServer)
	m.scale(&plan, limits, now)
	t.expose(&plan, m)
	t.attach(&plan, m)
	return plan
}

// unreadyLimit is how long a server that was ready may be unready before its
// sessions move: a probe that fails once is no reason.
const unreadyLimit = 15 * time.Second

// lost reports whether a server was ready and is not any more, and if it is to
// be looked at again, when. A server is given sessions, or found idle, only when
// it is ready.
func (m *members) lost(v *Server, now time.Time) (lost bool, again time.Time) {
	if v.Phase != Starting || v.Unready.IsZero() || len(m.served[v.Name]) == 0 && v.Idle.IsZero() {
		return false, time.Time{}
	}
	limit := v.Unready.Add(unreadyLimit)
	return !now.Before(limit), limit
}

// stranded are the sessions of servers that are gone or lost, and the youngest
// of servers that have too many: two replicas that decided at the same time.
func (m *members) stranded(limits Limits, now time.Time) (out []*Session) {
	for name, sessions := range m.served {
		v := m.servers[name]
		lost := v == nil || v.Phase == Gone
		if !lost {
			lost, _ = m.lost(v, now)
		}
		if lost {
			for _, s := range sessions {
				out = append(out, s)
			}
			continue
		}
		if over := len(sessions) - limits.PerServer; over > 0 && !limits.Unknown {
			all := make([]*Session, 0, len(sessions))
			for _, s := range sessions {
				all = append(all, s)
			}
			slices.SortFunc(all, before)
			out = append(out, all[len(all)-over:]...)
		}
	}
	slices.SortFunc(out, before)
	return out
}

// assign gives ready servers with a free place to the first in the queue.
func (m *members) assign(plan *Plan, perServer int) {
	taken := map[string]int{}
	var ready []*Server
	for _, v := range m.servers {
		if v.Phase == Ready && len(m.served[v.Name]) < perServer {
			ready = append(ready, v)
		}
	}
	slices.SortFunc(ready, func(a, b *Server) int {
		return cmp.Or(cmp.Compare(len(m.served[b.Name]), len(m.served[a.Name])), a.Created.Compare(b.Created), cmp.Compare(a.Name, b.Name))
	})
	for _, s := range m.queue {
		if len(ready) == 0 {
			return
		}
		v := ready[0]
		plan.Assign[s.ID] = v.Name
		if taken[v.Name]++; len(m.served[v.Name])+taken[v.Name] == perServer {
			ready = ready[1:]
		}
	}
}

// scale compares the servers that are coming with the sessions that wait, and
// lets go of those that nobody needs. One that waits for a device holds none,
// so it goes first.
func (m *members) scale(plan *Plan, limits Limits, now time.Time) {
	waiting := len(m.queue) - len(plan.Assign) + len(plan.Requeue)
	need := (waiting + limits.PerServer - 1) / limits.PerServer
	var coming []*Server
	given := map[string]bool{}
	for _, name := range plan.Assign {
		given[name] = true
	}
	for _, v := range m.servers {
		lost, again := m.lost(v, now)
		if !lost && !again.IsZero() {
			plan.next(again)
		}
		switch {
		case lost:
			plan.Delete = append(plan.Delete, v)
		case v.Phase < Ready:
			// One that has sessions is theirs, though it is not ready for a moment.
			if len(m.served[v.Name]) == 0 {
				coming = append(coming, v)
			}
		case v.Phase != Ready:
		case len(m.served[v.Name]) > 0 || given[v.Name]:
			if !v.Idle.IsZero() {
				plan.Busy = append(plan.Busy, v)
			}
		case v.Idle.IsZero():
			plan.Idle = append(plan.Idle, v)
			plan.next(now.Add(limits.Idle))
		case now.Sub(v.Idle) >= limits.Idle:
			plan.Delete = append(plan.Delete, v)
		default:
			plan.next(v.Idle.Add(limits.Idle))
		}
	}
	plan.Create = max(0, need-len(coming))
	slices.SortFunc(coming, func(a, b *Server) int {
		return cmp.Or(cmp.Compare(a.Phase, b.Phase), b.Created.Compare(a.Created), cmp.Compare(a.Name, b.Name))
	})
	surplus := max(0, len(coming)-need)
	for _, v := range coming[:surplus] {
		// One that has a device already is kept for a while, as a ready one is.
		switch {
		case v.Phase == Waiting || !v.Idle.IsZero() && now.Sub(v.Idle) >= limits.Idle:
			plan.Delete = append(plan.Delete, v)
		case v.Idle.IsZero():
			plan.Idle = append(plan.Idle, v)
			plan.next(now.Add(limits.Idle))
		default:
			plan.next(v.Idle.Add(limits.Idle))
		}
	}
	for _, v := range coming[surplus:] {
		if !v.Idle.IsZero() {
			plan.Busy = append(plan.Busy, v)
		}
	}
}

func (p *Plan) next(at time.Time) {
	if p.Again.IsZero() || at.Before(p.Again) {
		p.Again = at
	}
}
