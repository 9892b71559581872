package upgrade

import (
	"maps"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"heteroaccel.io/pkg/accel"
	"heteroaccel.io/pkg/inventory"
)

// lookPeriod is how often at least a kind is looked at that has to stay idle for a while:
// whoever has it in between for less is not noticed.
const lookPeriod = time.Second

// Server is what it takes to know of a server.
type Server struct {
	Pod  types.UID
	Kind accel.Kind
	// Displaced is the kind from which a rollout displaced it, "" for one that asks.
	Displaced accel.Kind
	// Ready is since when it has been.
	Ready time.Time
}

// Patience knows since when each kind has been idle for servers that ask and would gain by
// it. It belongs to one goroutine. The zero value has seen nothing.
type Patience struct {
	since map[types.UID]map[accel.Kind]time.Time
}

// May reports to which kinds a server may be moved now, given its candidates as they are
// now: nil for none. Then it is to be asked again after wait, or, where that is 0, once
// something changes.
func (p *Patience) May(r Rules, s Server, candidates []inventory.Candidate, now time.Time) (to func(accel.Kind) bool, wait time.Duration) {
	all := func(accel.Kind) bool { return true }
	if s.Displaced != "" {
		if r.Faster(candidates, s.Kind, s.Displaced, all) < 0 {
			return nil, 0
		}
		return all, 0
	}
	before, idle := p.since[s.Pod], map[accel.Kind]time.Time{}
	ripe := map[accel.Kind]bool{}
	for _, c := range candidates {
		kind := c.Kind
		if r.Faster(candidates, s.Kind, "", func(k accel.Kind) bool { return k == kind }) < 0 {
			continue
		}
		if since, seen := before[kind]; seen {
			idle[kind] = since
		} else {
			idle[kind] = now
		}
		if left := max(idle[kind].Add(r.Idle).Sub(now), s.Ready.Add(r.Uptime).Sub(now)); left > 0 {
			wait = sooner(wait, min(left, lookPeriod))
		} else {
			ripe[kind] = true
		}
	}
	if p.since == nil {
		p.since = map[types.UID]map[accel.Kind]time.Time{}
	}
	if p.since[s.Pod] = idle; len(idle) == 0 {
		delete(p.since, s.Pod)
	}
	if len(ripe) == 0 {
		return nil, wait
	}
	return func(k accel.Kind) bool { return ripe[k] }, 0
}

// Keep forgets the servers but these.
func (p *Patience) Keep(pods map[types.UID]bool) {
	maps.DeleteFunc(p.since, func(uid types.UID, _ map[accel.Kind]time.Time) bool { return !pods[uid] })
}

// Forget forgets all: pods that wait could have what is idle.
func (p *Patience) Forget() { clear(p.since) }

// sooner is the shorter of two waits, of which 0 is none.
func sooner(a, b time.Duration) time.Duration {
	if a == 0 || b > 0 && b < a {
		return b
	}
	return a
}
