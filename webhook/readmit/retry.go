package readmit

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
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
// would tell the scheduler of it. And of a node that has more to offer than
// before it tells no pod that asks for a resource which its configuration has
// it ignore, as the marker of ours is (isSchedulableAfterNodeChange in its
// plugin NodeResourcesFit, Kubernetes 1.37): such a pod would wait for minutes.
// The two hear of different events, so both are tried in turn.
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
	how := r.touch
	if s.touches%2 == 0 {
		how = r.depart
	}
	r.tasks.Go(func() {
		ctx, cancel := context.WithTimeout(ctx, callLimit)
		defer cancel()
		r.metrics.retries.Inc()
		if err := how(ctx, first, now); err != nil {
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

// nowhere is a node that there is not.
const nowhere = "heteroaccel-nowhere"

// depart has a pod leave a node, which is an event for what a node had no room
// for. The pod is of our own namespace and bound to no real node: nothing runs,
// and should it be left behind, Kubernetes' own garbage collection takes it.
func (r *Readmitter) depart(ctx context.Context, _ *waiter, _ time.Time) error {
	pods := r.Client.CoreV1().Pods(r.Namespace)
	pod, err := pods.Create(ctx, &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{GenerateName: "heteroaccel-wake-"},
		Spec: corev1.PodSpec{
			NodeName: nowhere, RestartPolicy: corev1.RestartPolicyNever, AutomountServiceAccountToken: new(false),
			SecurityContext: &corev1.PodSecurityContext{RunAsNonRoot: new(true), SeccompProfile: &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault}},
			Containers: []corev1.Container{{
				Name: "none", Image: "none",
				SecurityContext: &corev1.SecurityContext{AllowPrivilegeEscalation: new(false), Capabilities: &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}}},
			}},
		},
	}, metav1.CreateOptions{})
	if err != nil {
		return fmt.Errorf("make a pod that leaves: %w", err)
	}
	err = pods.Delete(ctx, pod.Name, metav1.DeleteOptions{GracePeriodSeconds: new(int64(0)), Preconditions: metav1.NewUIDPreconditions(string(pod.UID))})
	if err != nil && !apierrors.IsNotFound(err) {
		return fmt.Errorf("have the pod %s leave: %w", pod.Name, err)
	}
	return nil
}
