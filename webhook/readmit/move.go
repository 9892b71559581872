package readmit

import (
	"context"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"heteroaccel.io/pkg/accel"
	"heteroaccel.io/webhook/readmit/pending"
	"heteroaccel.io/webhook/readmit/podapi"
)

// moves are the reservations of pods that are moved by their claims: each is held until
// the pod is seen to be of its new kind, and so counts itself, or not to be pending any
// more. The zero value has none.
type moves struct {
	mu sync.Mutex
	by map[types.UID]movedTo
}

type movedTo struct {
	kind                   accel.Kind
	namespace, reservation string
}

// begin notes a move, and returns the reservation of one before it that was not seen to
// end, "" for none.
func (m *moves) begin(pod types.UID, to movedTo) (before string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.by == nil {
		m.by = map[types.UID]movedTo{}
	}
	before = m.by[pod].reservation
	m.by[pod] = to
	return before
}

// keep forgets the moves of pods that are not pending any more, and returns them.
func (m *moves) keep(pods map[types.UID]bool) (over []movedTo) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for pod, to := range m.by {
		if !pods[pod] {
			over = append(over, to)
			delete(m.by, pod)
		}
	}
	return over
}

// end forgets a move, and returns its reservation: "" where another ended it.
func (m *moves) end(pod types.UID, kind accel.Kind) (reservation string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	to, ok := m.by[pod]
	if !ok || to.kind != kind {
		return ""
	}
	delete(m.by, pod)
	return to.reservation
}

// moveClaim moves a pod that is bound late to a kind that is reserved for it; why is what
// that ends its wait with.
func (r *term) moveClaim(ctx context.Context, p *pending.Pod, to accel.Kind, reservation, reason string, why end, now time.Time) {
	r.attempts.begin(p.UID)
	r.Inventory.Release(p.Namespace, r.moves.begin(p.UID, movedTo{to, p.Namespace, reservation}))
	r.tasks.Go(func() {
		err := r.claimer.Move(ctx, p, to, reason, now)
		report := r.attempts.end(p.UID, outcome{rejected: podapi.Rejected(err), retryNow: err == nil || podapi.Rejected(err) && r.Refusals.Refusal(p.RefusalOwner(), "", to) != nil}, time.Now())
		if err != nil {
			r.Inventory.Release(p.Namespace, r.moves.end(p.UID, to))
		} else {
			r.metrics.ends.add(why, p.Since(), now)
		}
		r.metrics.observe(p.Owner, err)
		r.report(p, to, err, report && !r.claimer.Told(p))
		<-r.workers
		r.wake()
	})
}

// seen takes it that a pod was seen: as a new one it may lack its claim, which may be
// given up where it is bound, and of one that was moved the reservation is over, as the
// pod counts itself.
func (t *term) seen(pod *corev1.Pod) {
	name := types.NamespacedName{Namespace: pod.Namespace, Name: pod.Name}
	if p := t.pending.Get(name); p != nil && p.Claim != "" {
		if held := t.moves.end(p.UID, p.Template.Kind); held != "" {
			t.Inventory.Release(p.Namespace, held)
		}
	}
	t.claimer.Look(name)
}
