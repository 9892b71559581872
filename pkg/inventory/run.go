package inventory

import (
	"cmp"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Run is how far a pod is.
type Run struct {
	// Phase is the pod's phase, Running for instance.
	Phase corev1.PodPhase
	// Created and Started, the start of its first container, are zero when
	// unknown. Of a pod that ended, Started and Ended are those of the
	// container that ran the inference, in its last attempt: whole seconds, as
	// the API has them.
	Created, Started, Ended time.Time
	// Succeeded is set when the pod, and with it that container, ended well.
	Succeeded bool
	// Ends is false for a server: its device frees only when it is deleted.
	Ends bool

	// Restarted is set when that container is not in its first attempt.
	Restarted bool
	// Seen is when the inventory saw the pod start, zero when it did not: when
	// it ran already at first sight.
	Seen time.Time
	// Watched is how long the inventory saw it run, 0 when unknown.
	Watched time.Duration
}

// Duration is how long the run of a pod that ended took; ok is false when that is
// not known. The API's times are cut to whole seconds, so that their difference
// is up to a second off either way: where the inventory saw the pod start and
// end, its own clock says where in between the truth lies.
func (r *Run) Duration() (took time.Duration, ok bool) {
	if r.Started.IsZero() || r.Ended.Before(r.Started) {
		return 0, false
	}
	took = r.Ended.Sub(r.Started)
	if r.Watched > 0 {
		took = min(max(r.Watched, took-time.Second), took+time.Second)
	}
	return took, true
}

// withObservedRun returns p with what was seen of its run: old is the record before
// it, nil at first sight.
func (p *Pod) withObservedRun(old *Pod, now time.Time) *Pod {
	if p.Managed == nil || old == nil || old.Run == nil || p.Run.Restarted {
		return p
	}
	seen := old.Run.Seen
	if seen.IsZero() {
		if !old.Run.Started.IsZero() || p.Run.Started.IsZero() || p.Done {
			return p
		}
		seen = now
	}
	m, r := *p, *p.Run
	r.Seen = seen
	if r.Watched = old.Run.Watched; p.Done && !old.Done {
		r.Watched = now.Sub(seen)
	}
	m.Run = &r
	return &m
}

// runOf reads how far a pod is; inference is the container that runs it, "" in
// a pod that is not ours.
func runOf(pod *corev1.Pod, inference string) *Run {
	r := &Run{Phase: pod.Status.Phase, Created: pod.CreationTimestamp.Time, Ends: ends(pod)}
	if s := statusOf(pod, inference); s != nil {
		r.Restarted = s.RestartCount > 0
		if t := s.State.Terminated; t != nil && (r.Phase == corev1.PodSucceeded || r.Phase == corev1.PodFailed) {
			r.Started, r.Ended = t.StartedAt.Time, t.FinishedAt.Time
			r.Succeeded = r.Phase == corev1.PodSucceeded && t.ExitCode == 0
			return r
		}
	}
	for _, s := range pod.Status.ContainerStatuses {
		if s.State.Running != nil && (r.Started.IsZero() || s.State.Running.StartedAt.Time.Before(r.Started)) {
			r.Started = s.State.Running.StartedAt.Time
		}
	}
	// Of a pod that runs while none of its containers is seen to, as between
	// two restarts, the kubelet's acknowledgement is the next best. Before, it
	// says nothing: the image may take minutes to be pulled.
	if r.Started.IsZero() && pod.Status.Phase == corev1.PodRunning && pod.Status.StartTime != nil {
		r.Started = pod.Status.StartTime.Time
	}
	return r
}

// statusOf is the status of a container of the pod, init containers included;
// nil when there is none.
func statusOf(pod *corev1.Pod, container string) *corev1.ContainerStatus {
	for _, statuses := range [][]corev1.ContainerStatus{pod.Status.ContainerStatuses, pod.Status.InitContainerStatuses} {
		for i := range statuses {
			if container != "" && statuses[i].Name == container {
				return &statuses[i]
			}
		}
	}
	return nil
}

// ends reports whether a pod is expected to end by itself: one of a Job, or one
// that is not restarted whenever it ends, as the pods of all controllers of
// servers are.
func ends(pod *corev1.Pod) bool {
	if o := metav1.GetControllerOfNoCopy(pod); o != nil && o.Kind == "Job" {
		return true
	}
	return cmp.Or(pod.Spec.RestartPolicy, corev1.RestartPolicyAlways) != corev1.RestartPolicyAlways
}
