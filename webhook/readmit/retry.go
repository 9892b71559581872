package readmit

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"heteroaccel.io/pkg/accel"
	"heteroaccel.io/pkg/inventory"
)

const (
	// patient is how long kube-scheduler has to find out by itself that what a
	// pod waits for is usable.
	patient = 300 * time.Millisecond
	// retryPause is how long the first retry has to help; it doubles, up to
	// longestRetryPause. The extender may know a sample later than we do.
	retryPause        = 2 * time.Second
	longestRetryPause = 5 * time.Minute
)

// unserved is the pod of a line that the scheduler tries first, if it found no
// node for it while its kind counts as usable, and since when that has been so;
// nil when it is not.
func (r *Readmitter) unserved(l *line, now time.Time) (since time.Time, first *waiter) {
	if l.own.Usable == 0 {
		delete(r.usable, l.class)
		return now, nil
	}
	since, known := r.usable[l.class]
	if !known {
		since = now
		r.usable[l.class] = now
	}
	for _, w := range l.waiters {
		if w.unschedulable && (first == nil || inLine(w, first) < 0) {
			first = w
		}
	}
	return since, first
}

// freshVerdictGrace is how long the scheduler has, instead of
// inventory.VerdictGrace, where it spoke after the kind had become usable: its
// own view may be behind ours by a moment, and then it tries again after a
// second (podInitialBackoffSeconds).
const freshVerdictGrace = 3 * time.Second

// believe takes the scheduler's word for it that a kind which counts as usable
// is not usable for the pods of a line. Its plugins know more than we do: of
// volumes, of other pods' places, of ports. It returns in how long it wants to
// look again, 0 for not.
func (r *Readmitter) believe(l *line, now time.Time) time.Duration {
	for i := range l.candidates { // pods that wait for another kind want to know too
		r.Refusals.CapacityChanged(l.class.shared, &l.candidates[i])
	}
	since, first := r.unserved(l, now)
	if first == nil || l.own.Refused != nil && l.own.Refused.Unschedulable {
		return 0
	}
	due := since.Add(inventory.VerdictGrace)
	if fresh := first.judged.Add(freshVerdictGrace); first.judged.After(since) && fresh.Before(due) {
		due = fresh
	}
	if wait := due.Sub(now); wait > 0 {
		return wait
	}
	r.Refusals.Unschedulable(l.class.shared, &l.own, first.words)
	r.metrics.verdicts.Inc()
	r.Log.Info().Str("pod", first.key().String()).Str("kind", string(l.class.kind)).Str("scheduler", first.words).
		Msg("the scheduler finds no node for a pod although its kind counts as usable: its word is taken")
	return lull
}

// retry has kube-scheduler look again at the first pod of a line whose own
// kind is usable while that pod was found unschedulable. It returns in how long
// it wants to look again, 0 for not.
//
// A sample that makes a device usable is no event of the cluster: nothing else
// would tell the scheduler of it. A change of the pod's annotations requeues
// what only the extender rejected; what a plugin of the scheduler's rejected is
// requeued by the events that the plugin waits for.
func (r *Readmitter) retry(ctx context.Context, l *line, now time.Time) time.Duration {
	since, first := r.unserved(l, now)
	if first == nil {
		return 0
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	s := r.state(first.uid)
	due := since.Add(patient)
	if s.touches > 0 {
		wait := retryPause
		for range s.touches - 1 {
			wait = min(2*wait, longestRetryPause)
		}
		if again := s.touched.Add(wait); again.After(due) {
			due = again
		}
	}
	if wait := due.Sub(now); wait > 0 {
		return wait
	}
	s.touches, s.touched = s.touches+1, now
	r.tasks.Go(func() {
		ctx, cancel := context.WithTimeout(ctx, callLimit)
		defer cancel()
		r.metrics.retries.Inc()
		if err := r.touch(ctx, first, now); err != nil {
			r.Log.Info().Err(err).Str("pod", first.key().String()).Msg("the scheduler could not be made to look at the pod again")
		}
	})
	return retryPause
}

// touch changes an annotation of a pod, which is an event for what only the
// extender rejected.
func (r *Readmitter) touch(ctx context.Context, w *waiter, now time.Time) error {
	patch, err := json.Marshal(map[string]any{"metadata": map[string]any{
		"uid":         w.uid,
		"annotations": map[string]string{accel.RetryAnnotation: now.UTC().Format(time.RFC3339Nano)},
	}})
	if err != nil {
		return fmt.Errorf("encode the annotation: %w", err)
	}
	if _, err := r.Client.CoreV1().Pods(w.namespace).Patch(ctx, w.name, types.MergePatchType, patch, metav1.PatchOptions{}); err != nil {
		return fmt.Errorf("annotate the pod: %w", err)
	}
	return nil
}
