package inventory

import (
	"time"

	"heteroaccel.io/pkg/accel"
	"heteroaccel.io/pkg/quota"
	"heteroaccel.io/pkg/resources"
	"heteroaccel.io/pkg/servicetime"
)

// Option is one way a pod could run, as a decision is asked about it.
type Option struct {
	Kind accel.Kind
	// Rank is the place in the order of preference, 0 first.
	Rank int
	// Needs is what the whole pod would request.
	Needs resources.Amounts
	// Constraints say where it could run then; nil is anywhere untainted.
	Constraints *Constraints
	// QuotaUsage is what quotas count of the pod beyond Needs.
	QuotaUsage quota.Usage
	// VolumeClaims are the claims of the namespace whose volumes the pod would mount:
	// those that are bound say where it could run, too.
	VolumeClaims []string
	// Service is how long a run is expected to take, 0 when nobody knows.
	Service time.Duration
	// Barred is why this option comes last whatever is idle; nil when nothing
	// is known against it. What quotas say is found out by the inventory.
	Barred *Refusal
	// Hint is what the profile says of Service, 0 for nothing. Basis is where
	// it comes from, Timed what of it was timed.
	Hint  time.Duration
	Basis servicetime.Basis
	Timed servicetime.Timed
	// TrialHistory is for the policies that spend a run on learning now and then.
	TrialHistory TrialHistory
}

// Candidate is what a decision needs to know of an option: the state of its
// kind on the nodes this pod could run on.
type Candidate struct {
	Option
	// Nodes are the nodes it could run on that have the kind at all, Stale
	// how many of them have no fresh sample.
	Nodes, Stale int
	// Total is how many such pods those nodes could take when empty, Usable
	// how many they could take now.
	Total, Usable int64
	// Claimed is how many of the usable slots waiting pods and reservations
	// will take, Queued how many more of these find none and wait.
	Claimed, Queued int64
	// Ending is how many slots are held by pods that end by themselves.
	Ending int64
	// Full is how long no slot has been free for more than a moment; as far
	// back as decisions have asked for this kind lately.
	Full time.Duration
	// Running are the pods that hold the kind there, on the nodes where some
	// of them end: in a large cluster those of a sample of these nodes, spread
	// evenly. It is filled in when nothing is idle, which is when it matters.
	Running []Running
	// Refused is the option's Barred, or else which ResourceQuota has no room
	// for the pod; nil when nothing is known against it.
	Refused *Refusal
}

// Running is one pod that holds a device a decision is interested in.
type Running struct {
	// Elapsed is how long it has run, 0 when it has not started.
	Elapsed time.Duration
	// Service is how long it is expected to run in all, 0 when unknown.
	Service time.Duration
	// Ends is false for one that runs until it is deleted.
	Ends bool
}

// Idle is how many slots nobody holds, waits for or has reserved.
func (c Candidate) Idle() int64 { return max(0, c.Usable-c.Claimed) }

// Admitted reports whether a pod made for it would be admitted, as far as is
// known.
func (c Candidate) Admitted() bool { return c.Refused == nil || c.Refused.Unschedulable }

// Query is what a decision is about.
type Query struct {
	Namespace string
	Options   []Option
	// Reservation is the id to reserve the choice under; with "" nothing is
	// reserved, which is what a dry run wants.
	Reservation string
	// Release is a reservation that was held for this very pod, and is given
	// back in the same step; "" for none. A dry run only leaves it out.
	Release string
	// Replaces is the name of a pod that the chosen one would come in the place
	// of: quotas no longer count it then. "" for none.
	Replaces string
}

// Decide hands the candidates of a query to choose, in the order of the
// options, and reserves what it chose. All of it is one step under the lock,
// so that of two decisions the later one knows the earlier: choose must be
// quick, must not block, and must return an index into the candidates, of
// which there must be at least one. A choice that is refused is not
// reserved, unless the pod would be admitted and wait: the API server is about
// to refuse it too.
func (inv *Inventory) Decide(q Query, choose func([]Candidate) int) Candidate {
	inv.mu.Lock()
	defer inv.mu.Unlock()
	now := inv.opts.Now()
	inv.markStale(now)
	inv.expire(now)
	if q.Reservation != "" {
		inv.release(q.Namespace, q.Release)
	} else if held := inv.reservations[q.Release]; held != nil && held.namespace == q.Namespace {
		defer inv.exclude(held)()
	}
	candidates := inv.candidates(q, now)
	chosen := candidates[choose(candidates)]
	if q.Reservation != "" && chosen.Admitted() {
		inv.reserve(q.Reservation, q.Namespace, chosen.Option, now)
	}
	return chosen
}

// exclude has a reservation not count until the function it returns is called.
func (inv *Inventory) exclude(r *reservation) func() {
	inv.excluded = claim{class: r.class}
	inv.quotas.Remove(r.namespace, r.quotaPod())
	return func() {
		inv.excluded = claim{}
		inv.quotas.Add(r.namespace, r.quotaPod())
	}
}

// candidates are how a query's options stand.
func (inv *Inventory) candidates(q Query, now time.Time) []Candidate {
	candidates := make([]Candidate, len(q.Options))
	for i, o := range q.Options {
		o.Constraints = inv.constrainToVolumes(q.Namespace, o.Constraints, o.VolumeClaims)
		candidates[i] = inv.candidate(o, now)
		if candidates[i].Refused = o.Barred; o.Barred == nil {
			candidates[i].Refused = inv.quotaRefusal(&q, &o, now)
		}
	}
	return candidates
}

// candidate reads an option's state off the table of its shape.
func (inv *Inventory) candidate(o Option, now time.Time) Candidate {
	s := inv.class(o.Needs, o.Constraints)
	t := inv.tableOf(s)
	c := Candidate{
		Option: o,
		Nodes:  t.nodes, Stale: t.stale,
		Total: t.total, Usable: t.usable, Ending: t.ending,
	}
	c.Claimed, c.Queued = inv.claims(s, now)
	if c.Idle() == 0 {
		c.Full = t.fullFor(now)
		c.Running = inv.running(o, t, now)
	}
	return c
}

// maxRunningNodes bounds on how many nodes the running pods are looked at. They
// serve to estimate a wait, and for that so many will do.
const maxRunningNodes = 32

// running lists the pods that hold what o needs.
func (inv *Inventory) running(o Option, t *fitTable, now time.Time) []Running {
	if t.nodesEnding == 0 {
		return nil
	}
	step := (t.nodesEnding + maxRunningNodes - 1) / maxRunningNodes
	running := make([]Running, 0, min(t.ending, 2*maxRunningNodes))
	for i := range t.withEnding.everyNth(step, t.suitable) {
		for _, p := range inv.byIndex[i].Holders {
			// No pod frees more than there is, whatever it asked for.
			slots := min(claimSize(p.Needs, o.Needs), int64(t.fits[i].total))
			if slots == 0 {
				continue
			}
			r := Running{Ends: p.Run.Ends}
			if !p.Run.Started.IsZero() {
				r.Elapsed = max(0, now.Sub(p.Run.Started))
			}
			if p.Managed != nil {
				r.Service = inv.opts.ServiceTime(p.Managed.Inference, o.Kind)
			}
			for range slots {
				running = append(running, r)
			}
		}
	}
	return running
}
