package inventory

import (
	"cmp"
	"slices"
	"time"
	"unique"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"heteroaccel.io/pkg/accel"
	"heteroaccel.io/pkg/text"
)

// Run is a pod's progress.
type Run struct {
	// Phase is the pod's phase.
	Phase corev1.PodPhase
	// Created and Started, the start of its first container, are zero when
	// unknown. For a pod that ended, Started and Ended are those of the last
	// attempt of the container that ran the inference. All are whole seconds, as
	// in the API.
	Created, Started, Ended time.Time
	// Succeeded is set when the pod and that container succeeded.
	Succeeded bool
	// Ends is false for a server, which releases its device only when it is
	// deleted.
	Ends bool

	// Image and Device are the image of that container and the device that its
	// variable accel.DeviceEnv names, as the API server has them, each at most
	// maxText bytes. Altered is set once one of them was seen to change, in a pod with a
	// Claim once it is bound: whoever may patch pods can change the image.
	Image, Device string
	Altered       bool

	// Restarted is set when that container is past its first attempt.
	Restarted bool
	// Pulled is set once that container has its image, and PullError is why the kubelet
	// cannot get it, in its words, at most maxText bytes; "" for no reason.
	Pulled    bool
	PullError string
	// Seen is when the inventory saw the pod start; zero if it ran already when
	// it was seen first.
	Seen time.Time
	// Watched is how long the inventory saw it run, 0 when unknown.
	Watched time.Duration
}

// Duration is how long the run of a pod that ended took; ok is false when that is
// unknown. The API truncates times to seconds, so their difference is up to a
// second off either way. Within that second the inventory's own clock decides, if
// it saw the pod start and end.
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

// withObservedRun returns p with what was seen of its run. old is the record
// before it, nil for the first.
func (p *Pod) withObservedRun(old *Pod, now time.Time) *Pod {
	if p.Managed == nil || old == nil || old.Run == nil {
		return p
	}
	moves := p.Claim != "" && old.Claim == p.Claim && old.Node == "" // no container has started
	if was := old.Run; was.Altered || !moves && (was.Image != p.Run.Image || was.Device != p.Run.Device) {
		m, r := *p, *p.Run
		r.Altered, m.Run = true, &r
		p = &m
	}
	if p.Run.Restarted {
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

// runOf reads the progress of a pod. inference is the container that runs it, ""
// in a pod that is not ours.
func runOf(pod *corev1.Pod, inference string) *Run {
	r := &Run{Phase: pod.Status.Phase, Created: pod.CreationTimestamp.Time, Ends: Ends(pod)}
	r.Image, r.Device = programOf(pod, inference)
	if s := statusOf(pod, inference); s != nil {
		r.Restarted = s.RestartCount > 0
		r.Pulled, r.PullError = pullOf(s)
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
	// While a running pod has no running container, as between two restarts, the
	// kubelet's start time is the next best. Before that it says nothing: pulling
	// the image may take minutes.
	if r.Started.IsZero() && pod.Status.Phase == corev1.PodRunning && pod.Status.StartTime != nil {
		r.Started = pod.Status.StartTime.Time
	}
	return r
}

// pullErrors are the reasons for which a container waits for its image. Source: the
// kubelet's pkg/kubelet/images.
var pullErrors = []string{
	"ErrImagePull", "ImagePullBackOff", "ErrImageNeverPull", "InvalidImageName", "ImageInspectError", "RegistryUnavailable", "SignatureValidationFailed",
}

// pullOf reads what became of a container's image.
func pullOf(s *corev1.ContainerStatus) (pulled bool, why string) {
	w := s.State.Waiting
	if w == nil || !slices.Contains(pullErrors, w.Reason) {
		return s.ImageID != "" || s.State.Running != nil, ""
	}
	return false, unique.Make(text.Shorten(cmp.Or(w.Message, w.Reason), maxText)).Value()
}

// programOf returns the image of a container of the pod, and the device that it is
// told; neither when there is no such container.
func programOf(pod *corev1.Pod, container string) (image, device string) {
	for _, containers := range [][]corev1.Container{pod.Spec.Containers, pod.Spec.InitContainers} {
		for i := range containers {
			c := &containers[i]
			if container == "" || c.Name != container {
				continue
			}
			for _, e := range c.Env {
				if e.Name != accel.DeviceEnv { // the last one of a name counts
					continue
				}
				device = e.Value
				if e.ValueFrom != nil && e.ValueFrom.FieldRef != nil && e.ValueFrom.FieldRef.FieldPath == accel.DeviceFieldPath {
					device = pod.Annotations[accel.DeviceAnnotation]
				}
			}
			return unique.Make(text.Shorten(c.Image, maxText)).Value(), unique.Make(text.Shorten(device, maxText)).Value()
		}
	}
	return "", ""
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

// Ends reports whether a pod is expected to end by itself: a pod of a Job, or
// one with a restart policy other than Always.
func Ends(pod *corev1.Pod) bool { return SpecEnds(&pod.Spec, pod.OwnerReferences) }

// SpecEnds is Ends of a pod that is not there yet.
func SpecEnds(spec *corev1.PodSpec, owners []metav1.OwnerReference) bool {
	if slices.ContainsFunc(owners, func(o metav1.OwnerReference) bool { return o.Controller != nil && *o.Controller && o.Kind == "Job" }) {
		return true
	}
	return cmp.Or(spec.RestartPolicy, corev1.RestartPolicyAlways) != corev1.RestartPolicyAlways
}
