package inventory

import (
	"time"

	"k8s.io/apimachinery/pkg/types"
)

// Query is what a decision is about.
type Query struct {
	Namespace string
	Options   []Option
	// Reservation is the id to reserve the choice under; "" reserves nothing, as
	// a dry run wants.
	Reservation string
	// Release is the id of a reservation held for this very pod, which is
	// released in the same step; "" for none. A dry run only leaves it out.
	Release string
	// Lent leaves out what Release names as a dry run does: it stays.
	Lent bool
	// Caller is who asks for the pod, nil when it is there already.
	Caller *Caller
	// Replaces is the name of a pod that the chosen one replaces, so that quotas
	// count it no longer; "" for none.
	Replaces string
	// Pod is the pod's name, or what it begins with and "*"; what is Overdue tells it.
	Pod string
}

// Decide passes the candidates of a query to choose, in the order of the
// options, and reserves what it chose. All of it is one step under the lock, so
// that of two decisions the later one sees the earlier: choose must be quick,
// must not block, and must return an index into the candidates, of which there
// must be at least one. A choice that the API server is known to refuse is not
// reserved.
func (inv *Inventory) Decide(q Query, choose func([]Candidate) int) Candidate {
	inv.mu.Lock()
	defer inv.mu.Unlock()
	now := inv.advance()
	if q.Reservation != "" && !q.Lent {
		inv.release(q.Namespace, q.Release)
	} else if held := inv.reservations[q.Release]; held != nil && held.claim.class != nil && held.namespace == q.Namespace {
		defer inv.exclude(held)()
	}
	candidates := inv.candidates(q, now)
	chosen := candidates[choose(candidates)]
	if q.Reservation != "" && chosen.Admitted() {
		inv.reserve(q, chosen.Option, now)
	}
	return chosen
}

// DecideIf is Decide for somebody who needs nothing: choose may decline with an index
// below 0, and then ok is false and nothing is reserved, as when the choice would be refused.
func (inv *Inventory) DecideIf(q Query, choose func([]Candidate) int) (chosen Candidate, ok bool) {
	inv.mu.Lock()
	defer inv.mu.Unlock()
	now := inv.advance()
	candidates := inv.candidates(q, now)
	i := choose(candidates)
	if i < 0 || !candidates[i].Admitted() {
		return Candidate{}, false
	}
	inv.reserve(q, candidates[i].Option, now)
	return candidates[i], inv.reservations[q.Reservation] != nil
}

// Reconsider is Decide for a pending pod: its own claim and quota usage are left
// out of the candidates. choose may decline with an index below 0. ok is false
// when it did, or when the pod with this UID is not pending any more: then
// nothing is reserved.
func (inv *Inventory) Reconsider(q Query, name string, uid types.UID, choose func([]Candidate) int) (chosen Candidate, ok bool) {
	inv.mu.Lock()
	defer inv.mu.Unlock()
	pod := types.NamespacedName{Namespace: q.Namespace, Name: name}
	own, ok := inv.pending[pod]
	if !ok || inv.pods[pod].UID != uid {
		return Candidate{}, false
	}
	now := inv.advance()
	q.Replaces = name
	inv.excluded = own
	candidates := inv.candidates(q, now)
	inv.excluded = claim{}
	i := choose(candidates)
	if i < 0 {
		return Candidate{}, false
	}
	if q.Reservation != "" && candidates[i].Admitted() {
		q.Caller = nil
		inv.reserve(q, candidates[i].Option, now)
	}
	return candidates[i], true
}

// Candidates returns the candidates of a query and reserves nothing.
func (inv *Inventory) Candidates(q Query) []Candidate {
	inv.mu.Lock()
	defer inv.mu.Unlock()
	return inv.candidates(q, inv.advance())
}

// advance reads the clock and drops what expired by then.
func (inv *Inventory) advance() (now time.Time) {
	now = inv.opts.Now()
	inv.markStale(now)
	inv.expire(now)
	return now
}

// exclude leaves a reservation out of all counts until the function it returns
// is called.
func (inv *Inventory) exclude(r *reservation) (include func()) {
	inv.excluded = r.claim
	inv.quotas.Remove(r.namespace, r.quotaPod())
	return func() {
		inv.excluded = claim{}
		inv.quotas.Add(r.namespace, r.quotaPod())
	}
}

func (inv *Inventory) candidates(q Query, now time.Time) []Candidate {
	candidates := make([]Candidate, len(q.Options))
	owner := q.Namespace
	if q.Caller != nil && inv.callers.trust(q.Caller.Connection, now) != Trusted {
		owner = ""
	}
	for i, o := range q.Options {
		o.Constraints = inv.constrainToVolumes(q.Namespace, o.Constraints, o.VolumeClaims)
		candidates[i] = inv.candidate(o, owner, now)
		if candidates[i].Refused = o.Barred; o.Barred == nil {
			candidates[i].Refused = inv.quotaRefusal(&q, &o, now)
		}
	}
	return candidates
}

// candidate reads an option's state from the table of its pod class.
func (inv *Inventory) candidate(o Option, owner string, now time.Time) Candidate {
	class := inv.class(o.Needs, o.Constraints)
	t := inv.tableOf(class, owner)
	c := Candidate{
		Option: o,
		Nodes:  t.nodes, Stale: t.stale,
		Total: t.total, Usable: t.usable, Ending: t.ending,
	}
	var left nodeSet
	c.Claimed, c.Queued, left = inv.countClaims(class, now)
	if c.Idle() == 0 {
		left = t.suitable
		c.Full = t.fullFor(now)
		c.Running = inv.running(o, t, now)
	}
	if p := inv.preferredBy(o.Constraints.preference()); p != nil {
		if n, weight := inv.mostPreferred(p, left, t); n != nil {
			c.PreferredNode, c.PreferredWeight = n.Name, int(weight)
		}
	}
	return c
}

// maxRunningNodes bounds the nodes whose running pods are listed. The list
// serves to estimate a wait, for which so many are enough.
const maxRunningNodes = 32

// running lists the pods that hold what o needs, a pod that holds several times
// as much several times.
func (inv *Inventory) running(o Option, t *fitTable, now time.Time) []Running {
	if t.nodesEnding == 0 {
		return nil
	}
	step := (t.nodesEnding + maxRunningNodes - 1) / maxRunningNodes
	running := make([]Running, 0, min(t.ending, 2*maxRunningNodes))
	for i := range t.withEnding.everyNth(step, t.suitable) {
		for _, p := range inv.byIndex[i].Holders {
			// No pod frees more than the node has, whatever it requests.
			frees := min(claimSize(p.Holds(), o.Needs), int64(t.fits[i].total))
			if frees == 0 {
				continue
			}
			r := Running{Ends: p.Run.Ends}
			if !p.Run.Started.IsZero() {
				r.Elapsed = max(0, now.Sub(p.Run.Started))
			}
			if p.Managed != nil {
				r.Service = inv.opts.ServiceTime(p.Managed.Inference, o.Kind)
			}
			for range frees {
				running = append(running, r)
			}
		}
		for _, p := range inv.byIndex[i].releasing {
			for range min(claimSize(p.claims.releases, o.Needs), int64(t.fits[i].total)) {
				running = append(running, Running{Ends: true, Ended: true})
			}
		}
	}
	return running
}
