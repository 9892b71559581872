package readmit

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"heteroaccel.io/pkg/accel"
	"heteroaccel.io/pkg/inventory"
	"heteroaccel.io/pkg/policy"
	"heteroaccel.io/webhook/readmit/choice"
	"heteroaccel.io/webhook/readmit/pending"
	"heteroaccel.io/webhook/readmit/podapi"
	"heteroaccel.io/webhook/readmit/recreate"
	"heteroaccel.io/webhook/replacement"
)

// pass looks at every pending pod, once, and starts to recreate those that gain.
// It returns in how long it wants to look again by itself, 0 for not, and whether a pod is
// left that gains.
//
// The policy is evaluated once per stage: for a group, whether its last pod in
// the queue gains; for a pod of such a group, at its own position; and in the
// inventory's lock, when what it found is reserved.
func (r *term) pass(ctx context.Context, now time.Time) (next time.Duration, left bool) {
	groups := r.groups(now)
	var all []*pending.Pod
	for _, g := range groups {
		all = append(all, g.Pods...)
	}
	positions := sync.OnceValue(func() map[*pending.Pod]int64 { return pending.Positions(all) })
	var contenders []choice.Contender
	gaining := map[*pending.Template]*pending.Group{}
	for _, g := range groups {
		next = sooner(next, r.requeuer.AcceptVerdict(g, now))
		if !g.Late { // kube-scheduler sees devices as we do
			next = sooner(next, r.requeuer.Requeue(ctx, g, now))
		}
		gain := r.gainOf(g)
		for _, p := range g.Pods {
			c := choice.Contender{Pod: p, Gain: gain}
			if d := g.DeadlineOf(p, now); d.Left > 0 {
				var again time.Duration
				c, again = r.byDeadline(g, gain, p, positions()[p], d, now)
				next = sooner(next, again)
			}
			if p.Claim != "" && r.claimer.Denied(p) {
				c.Gain = policy.Never // it is stuck, however its kind stands
			}
			if c.Gain > 0 {
				gaining[g.Template] = g
				contenders = append(contenders, c)
			}
		}
	}
	if len(contenders) == 0 || r.Suspended() {
		return next, len(contenders) > 0
	}
	choice.Order(contenders, now, r.Rules.Patience)
	for _, c := range contenders {
		g := gaining[c.Template]
		if g == nil {
			continue // nothing better is left for its group
		}
		if wait := r.waitsFor(c.Pod, now); wait > 0 {
			next = sooner(next, wait)
			left = left || r.movable(c.Pod)
			continue
		}
		if r.better(g.Candidates, c.Pod, positions()[c.Pod], g.DeadlineOf(c.Pod, now)) == nil {
			continue
		}
		if len(r.workers) == cap(r.workers) {
			return next, true // whoever ends wakes us
		}
		if !r.move(ctx, c.Pod, g, positions()[c.Pod], now) {
			g.Candidates = r.Inventory.Candidates(g.Query())
			alone := func(p *pending.Pod) bool { return r.claimer.Denied(p) || g.DeadlineOf(p, now).Left > 0 }
			if r.gainOf(g) == 0 && !slices.ContainsFunc(g.Pods, alone) {
				delete(gaining, c.Template)
			}
		}
	}
	return next, left
}

// sooner is the shorter of two waits, of which 0 is none.
func sooner(a, b time.Duration) time.Duration {
	if a == 0 || b > 0 && b < a {
		return b
	}
	return a
}

// gainOf is by how much the last pod of a group in the queue gains, 0 if it does
// not.
func (r *term) gainOf(g *pending.Group) time.Duration {
	_, gain := choice.Better(r.Policy, g.Candidates, g.Kind, r.Rules.Margin)
	return gain
}

// better is the policy's ranking for a pod with so many ahead of it in the queue, led by
// the candidate that is better for it; nil if none is. It takes no lock of the
// inventory: most of a long queue may be better off waiting.
func (r *term) better(candidates []inventory.Candidate, p *pending.Pod, ahead int64, d inventory.Deadline) []policy.Ranked {
	ranked, _ := choice.Better(r.Policy, r.standing(candidates, p, ahead, d), p.Template.Kind, r.Rules.MarginOf(p.Owner))
	return ranked
}

// standing is a copy of the candidates of a group, as they are for one of its pods.
func (r *term) standing(candidates []inventory.Candidate, p *pending.Pod, ahead int64, d inventory.Deadline) []inventory.Candidate {
	candidates = choice.AtPosition(candidates, p.Template.Kind, ahead)
	choice.SetDeadline(candidates, p.Template.Kind, d, p.Owner)
	stuck := p.Claim != "" && r.claimer.Denied(p)
	for i := range candidates {
		c := &candidates[i]
		if c.Refused == nil {
			c.Refused = r.Refusals.Refusal(p.RefusalOwner(), "", c.Kind)
		}
		if stuck && c.Kind == p.Template.Kind {
			c.Refused = stuckAt(c.Refused)
		}
	}
	return candidates
}

// stuckAt is what is known against the kind of a pod whose claim is denied: it does not
// get there, as one that kube-scheduler finds no node for.
func stuckAt(known *inventory.Refusal) *inventory.Refusal {
	stuck := inventory.Refusal{Reason: "was refused by the API server"}
	if known != nil {
		stuck = *known
	}
	stuck.Unschedulable = true
	return &stuck
}

// waitsFor is how much longer a pod is left alone, 0 when it is not.
func (r *term) waitsFor(p *pending.Pod, now time.Time) time.Duration {
	if !r.movable(p) {
		return tick
	}
	busy, until := r.attempts.state(p.UID)
	if busy {
		return tick // it wakes us when it is done
	}
	if eligible := r.Rules.EligibleAt(p.Since(), p.Recreations); eligible.After(until) {
		until = eligible
	}
	return max(0, until.Sub(now))
}

// movable reports whether a pod may be recreated or moved at all.
func (r *term) movable(p *pending.Pod) bool {
	return r.pending.HasOwnRecord(p) && !p.OptOut && (p.Claim != "" || r.Recreate) && (p.Owner != pending.OwnerNone || r.BarePods)
}

// move reserves what is better for a pod and starts to recreate it; false when
// nothing is better any more.
func (r *term) move(ctx context.Context, p *pending.Pod, g *pending.Group, ahead int64, now time.Time) bool {
	q := g.Query()
	q.Reservation = "readmit-" + rand.Text()
	var ranked []policy.Ranked
	chosen, ok := r.Inventory.Reconsider(q, p.Name, p.UID, func(c []inventory.Candidate) int {
		if ranked = r.better(c, p, ahead, g.DeadlineOf(p, now)); ranked == nil {
			return -1
		}
		return ranked[0].Index
	})
	if !ok {
		return false
	}
	r.workers <- struct{}{} // has room: only the loop puts in
	if p.Claim != "" {
		reason := fmt.Sprintf("it waited for %s before: %s", p.Template.Kind, policy.Explain(ranked))
		r.moveClaim(ctx, p, chosen.Kind, q.Reservation, reason, whyMoved(ranked, p.Template.Kind, r.claimer.Denied(p)), now)
		return true
	}
	e := &replacement.Expected{Reservation: q.Reservation, Kind: chosen.Kind, Count: p.Recreations + 1, From: p.Template.Kind, FirstAdmitted: p.First()}
	createFirst := r.attempts.begin(p.UID)
	r.expected.Add(p.Origin(), e, now)
	r.tasks.Go(func() {
		err := r.recreator.Recreate(ctx, p, e, chosen, createFirst)
		r.end(p, e, chosen.Kind, err)
		<-r.workers
		r.wake()
	})
	return true
}

// end takes the outcome of a recreation, and releases what was reserved if
// nothing came of it.
func (r *term) end(p *pending.Pod, e *replacement.Expected, to accel.Kind, err error) {
	// First of all, so that nothing else is expected in the pod's place while
	// this still is.
	withdrawn := err != nil && r.expected.Withdraw(p.Origin(), e)
	o := outcome{rejected: podapi.Rejected(err)}
	o.retryNow = o.rejected && r.Refusals.Refusal(p.RefusalOwner(), "", to) != nil
	_, o.deleteFirst = errors.AsType[recreate.NotAdopted](err)
	report := r.attempts.end(p.UID, o, time.Now())
	if withdrawn {
		r.Inventory.Release(p.Namespace, e.Reservation)
	}
	r.metrics.observe(p.Owner, err)
	r.report(p, to, err, report)
}

// wake makes the loop look again.
func (r *term) wake() {
	select {
	case r.woken <- struct{}{}:
	default:
	}
}
