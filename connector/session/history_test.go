package session

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"
)

// TestAnyHistoryComesToRest applies random events and then plans until nothing
// is left to do: everybody is served in order, and nothing is there that nobody
// needs.
func TestAnyHistoryComesToRest(t *testing.T) {
	for seed := range uint64(200) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			r := rand.New(rand.NewPCG(seed, 7))
			table, now := NewTable(), start
			limits := Limits{PerServer: 1 + r.IntN(3), Idle: time.Minute}
			pools := []Pool{faces, {"text-recognition", "any", ""}, {"face-recognition", "gpu", "n"}}
			n := 0
			apply := func(p Pool) (changed bool) {
				plan := table.Plan(p, limits, now)
				for id, v := range plan.Assign {
					next := *table.Session(id)
					next.Server = v
					table.Put(&next)
				}
				for _, s := range plan.Requeue {
					next := *s
					next.Server = ""
					table.Put(&next)
				}
				for range plan.Create {
					n++
					table.PutServer(&Server{Name: fmt.Sprint("v", n), Pool: p, Created: now, PodIP: "10.0.0.1", Port: 8080})
				}
				for _, v := range plan.Delete {
					table.RemoveServer(v.Name)
				}
				for _, v := range plan.Idle {
					next := *v
					next.Idle = now
					table.PutServer(&next)
				}
				for _, v := range plan.Busy {
					next := *v
					next.Idle = time.Time{}
					table.PutServer(&next)
				}
				return len(plan.Assign)+len(plan.Requeue)+plan.Create+len(plan.Delete)+len(plan.Idle)+len(plan.Busy) > 0
			}
			advance := func() { // a server comes a step further
				for _, v := range table.servers {
					if v.Phase < Ready && r.IntN(3) > 0 {
						next := *v
						next.Phase++
						table.PutServer(&next)
					}
				}
			}
			for i := range 120 {
				now = now.Add(time.Duration(r.IntN(5)) * time.Second)
				p := pools[r.IntN(len(pools))]
				switch r.IntN(6) {
				case 0, 1:
					s := &Session{ID: fmt.Sprint("s", i), Pool: p, Created: now, Renewed: now, TTL: time.Hour, Priority: int32(r.IntN(2))}
					table.Put(s)
				case 2:
					for id := range table.sessions {
						table.Remove(id)
						break
					}
				case 3:
					for name := range table.servers {
						table.RemoveServer(name)
						break
					}
				case 4:
					advance()
				default:
					apply(p)
				}
			}
			for range 200 {
				advance()
				changed := false
				for _, p := range pools {
					changed = apply(p) || changed
				}
				if !changed && table.allReady() {
					break
				}
			}
			table.check(t, limits)
			now = now.Add(2 * limits.Idle)
			for _, s := range table.Sessions("") {
				table.Remove(s.ID)
			}
			for range 200 {
				advance()
				now = now.Add(limits.Idle)
				for _, p := range pools {
					apply(p)
				}
			}
			if len(table.servers)+len(table.sessions)+len(table.pools) > 0 {
				t.Errorf("left behind: %d servers, %d sessions, %d pools", len(table.servers), len(table.sessions), len(table.pools))
			}
		})
	}
}

func (t *Table) allReady() bool {
	for _, v := range t.servers {
		if v.Phase != Ready {
			return false
		}
	}
	return true
}

// check holds what must be once nothing is left to do.
func (t *Table) check(test *testing.T, limits Limits) {
	test.Helper()
	if waiting, _ := t.Count(); waiting > 0 {
		test.Errorf("%d sessions wait although servers can be had", waiting)
	}
	for p, m := range t.pools {
		for name, sessions := range m.served {
			v := t.servers[name]
			if v == nil || v.Phase != Ready || v.Pool != p {
				test.Errorf("%d sessions of %v are at server %q, which is not there or not theirs", len(sessions), p, name)
			}
			if len(sessions) > limits.PerServer {
				test.Errorf("server %s has %d sessions, more than %d", name, len(sessions), limits.PerServer)
			}
		}
	}
}
