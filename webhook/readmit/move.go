package readmit

import (
	"context"
	"crypto/rand"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"heteroaccel.io/pkg/accel"
	"heteroaccel.io/pkg/inventory"
	"heteroaccel.io/webhook/readmit/choice"
	"heteroaccel.io/webhook/replacement"
)

// state is how far we are with a pod that waits.
type state struct {
	busy bool
	// until is when it may be tried again after a try failed.
	until time.Time
	// touches is how often kube-scheduler was asked to retry it, touched when.
	touches int
	touched time.Time
	// plain is set once its ReplicaSet's next pod could not be created first.
	plain bool
	// told is set once the pod has an Event that says why it is left alone.
	told bool
}

// move reserves what is better for a pod and starts to recreate it; false
// when there is nothing better any more.
func (r *Readmitter) move(ctx context.Context, w *waiter, l *line, before int64, now time.Time) bool {
	q := l.query()
	q.Reservation = "readmit-" + rand.Text()
	margin := r.Rules.Margin + overhead[w.owner]
	chosen, ok := r.Inventory.Reconsider(q, w.name, w.uid, func(c []inventory.Candidate) int {
		to, _ := choice.Better(r.Policy, r.against(w, choice.AtPosition(c, w.class.kind, before)), w.class.kind, margin)
		return to
	})
	if !ok {
		return false
	}
	r.working <- struct{}{} // has room: only the loop puts in
	k := &replacement.Expected{Reservation: q.Reservation, Kind: chosen.Kind, Count: w.count + 1, From: w.class.kind}
	r.begin(w, k, now)
	r.tasks.Go(func() {
		err := r.replace(ctx, w, k, chosen)
		r.end(w, k, chosen.Kind, err)
		<-r.working
		r.nudge()
	})
	return true
}

func (r *Readmitter) begin(w *waiter, k *replacement.Expected, now time.Time) {
	r.mu.Lock()
	r.state(w.uid).busy = true
	r.mu.Unlock()
	r.expected.Add(w.origin(), k, now)
}

// end gives back what was held if nothing came of it.
func (r *Readmitter) end(w *waiter, k *replacement.Expected, to accel.Kind, err error) {
	// First of all, so that nothing else is expected in the pod's place while
	// this still is.
	withdrawn := err != nil && r.expected.Withdraw(w.origin(), k)
	r.mu.Lock()
	s := r.state(w.uid)
	if s.busy = false; !refused(err) || r.Refusals.Refusal(w.refused(), "", to) == nil {
		s.until = time.Now().Add(pause) // else another kind is tried at once
	}
	tell := err != nil && !s.told && refused(err)
	s.told = s.told || tell
	r.mu.Unlock()
	if withdrawn {
		r.Inventory.Release(w.namespace, k.Reservation)
	}
	r.metrics.observe(w.owner, err)
	r.report(w, to, err, tell)
}

func (w *waiter) origin() replacement.Origin {
	if w.controller != nil {
		return replacement.OriginOf(w.namespace, w.controller.UID, w.name)
	}
	return replacement.OriginOf(w.namespace, "", w.name)
}

// state returns a pod's; the caller holds the lock.
func (r *Readmitter) state(uid types.UID) *state {
	s := r.states[uid]
	if s == nil {
		s = &state{}
		r.states[uid] = s
	}
	return s
}

// nudge has the loop look again.
func (r *Readmitter) nudge() { tell(r.wake) }
