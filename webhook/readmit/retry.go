package readmit

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"heteroaccel.io/pkg/accel"
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

// retry has kube-scheduler look again at the first pod of a line whose own
// kind is usable while that pod was found unschedulable. It returns in how long
// it wants to look again, 0 for not.
//
// A sample that makes a device usable is no event of the cluster: nothing else
// would tell the scheduler of it. A change of the pod's annotations requeues
// what only the extender rejected; what a plugin of the scheduler's rejected is
// requeued by the events that the plugin waits for.
func (r *Readmitter) retry(ctx context.Context, l *line, now time.Time) time.Duration {
	if l.own.Usable == 0 {
		delete(r.usable, l.class)
		return 0
	}
	since, known := r.usable[l.class]
	if !known {
		since = now
		r.usable[l.class] = now
	}
	waiting := slices.DeleteFunc(slices.Clone(l.waiters), func(w *waiter) bool { return !w.unschedulable })
	if len(waiting) == 0 {
		return 0
	}
	first := slices.MinFunc(waiting, inLine)
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
