package readmit

import (
	"cmp"
	"slices"
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"heteroaccel.io/pkg/accel"
	"heteroaccel.io/webhook/mutate"
	"heteroaccel.io/webhook/refusals"
	"heteroaccel.io/webhook/replacement"
)

// ownerKind says how a pod is recreated.
type ownerKind string

const (
	ownerNone       ownerKind = "none"       // a bare pod: by us
	ownerController ownerKind = "controller" // by its controller, once it is deleted
	ownerJob        ownerKind = "job"        // by its Job, once it is released
)

// recreators are the controllers that make a deleted pod again at once, and
// count nothing.
var recreators = map[string]string{"ReplicaSet": "apps", "StatefulSet": "apps", "DaemonSet": "apps", "ReplicationController": ""}

// jobFinalizer is the Job controller's, for counting.
const jobFinalizer = "batch.kubernetes.io/job-tracking"

// jobLabels are the Job controller's; by the first it finds its pods.
var jobLabels = []string{"batch.kubernetes.io/controller-uid", "controller-uid", "batch.kubernetes.io/job-name", "job-name"}

// waiter is a pod that waits for the kind it was given. Immutable.
type waiter struct {
	namespace, name string
	uid             types.UID
	priority        int32
	created         time.Time
	owner           ownerKind
	controller      *metav1.OwnerReference // nil for a bare pod
	reservation     string
	// hash is by what its ReplicaSet tells its pods from those of the others of
	// a Deployment, "" when there is no such label.
	hash string
	// count is how often it was recreated already.
	count int
	// unschedulable is set once kube-scheduler has found no node for it, words
	// is what it said, and judged when these words were first seen.
	unschedulable bool
	words         string
	judged        time.Time
	// optOut and optIn are what the pod's annotation says about recreating it.
	optOut, optIn bool
	class         *class
}

// refused is whom the API server's refusals are remembered for.
func (w *waiter) refused() refusals.Owner {
	var controller types.UID
	if w.controller != nil {
		controller = w.controller.UID
	}
	return refusals.OwnerOf(w.namespace, controller, w.name, "")
}

func (w *waiter) key() types.NamespacedName {
	return types.NamespacedName{Namespace: w.namespace, Name: w.name}
}

// class is what pods of one template in one namespace have in common: all that
// decides in which ways they could run, and what its quotas leave them.
type class struct {
	key string
	// shared is the key of all classes that differ from this one only in the
	// kind they wait for: what the scheduler says of a kind holds for them all.
	shared string
	// pod is one of them without its mutation.
	pod  *mutate.Pod
	req  accel.Request
	kind accel.Kind
}

// waiterOf reads a pod; ok is false when it does not wait, when it is not ours
// to make again, or when we would not know how.
func waiterOf(pod *corev1.Pod, key []byte) (w *waiter, ok bool) {
	if pod.Spec.NodeName != "" || pod.DeletionTimestamp != nil || len(pod.Spec.SchedulingGates) > 0 ||
		pod.Status.NominatedNodeName != "" || cmp.Or(pod.Status.Phase, corev1.PodPending) != corev1.PodPending {
		return nil, false
	}
	if pod.Labels[accel.ReleasedLabel] != "" || pod.Annotations[accel.SuccessorAnnotation] != "" {
		return nil, false
	}
	controller := metav1.GetControllerOf(pod)
	owner, ok := ownerOf(pod, controller)
	if !ok {
		return nil, false
	}
	kind, err := accel.ParseKind(pod.Annotations[accel.SelectedAnnotation])
	if err != nil {
		return nil, false
	}
	undone, verified := mutate.Undo(slim(pod), key, pod.Namespace)
	req, ours, err := accel.ParseRequest(pod.Annotations)
	if !verified || !ours || err != nil {
		return nil, false
	}
	c := &class{pod: undone, req: req, kind: kind}
	c.shared = refusals.GroupKey(undone, req)
	c.key = c.shared + "/" + string(kind) + "/" + undone.Recorded
	w = &waiter{
		namespace: pod.Namespace, name: pod.Name, uid: pod.UID, created: pod.CreationTimestamp.Time,
		owner: owner, controller: controller, class: c,
		reservation: pod.Annotations[accel.ReservationAnnotation], count: replacement.Count(pod.Annotations),
	}
	if controller != nil && controller.Kind == "ReplicaSet" {
		w.hash = pod.Labels[appsv1.DefaultDeploymentUniqueLabelKey]
	}
	w.optOut, w.optIn = optionOf(pod)
	for _, c := range pod.Status.Conditions {
		if c.Type == corev1.PodScheduled && c.Status == corev1.ConditionFalse && c.Reason == corev1.PodReasonUnschedulable {
			w.unschedulable, w.words = true, c.Message
		}
	}
	if pod.Spec.Priority != nil {
		w.priority = *pod.Spec.Priority
	}
	return w, true
}

// ownerOf says how a pod is recreated; ok is false for an owner we do not
// know, and for a pod that somebody's finalizer would keep.
func ownerOf(pod *corev1.Pod, controller *metav1.OwnerReference) (ownerKind, bool) {
	finalizers := slices.DeleteFunc(slices.Clone(pod.Finalizers), func(f string) bool { return f == jobFinalizer })
	if len(finalizers) > 0 {
		return "", false
	}
	if controller == nil {
		return ownerNone, len(pod.Finalizers) == 0
	}
	group, _, grouped := strings.Cut(controller.APIVersion, "/")
	if !grouped {
		group = ""
	}
	if controller.Kind == "Job" {
		// A Job with a selector of its own would find the pod again.
		return ownerJob, group == "batch" && pod.Labels[jobLabels[0]] == string(controller.UID)
	}
	want, known := recreators[controller.Kind]
	return ownerController, known && want == group && len(pod.Finalizers) == 0
}

// slim is the pod as a mutation sees it.
func slim(pod *corev1.Pod) *mutate.Pod {
	return &mutate.Pod{
		Metadata: mutate.Metadata{Name: pod.Name, GenerateName: pod.GenerateName, Namespace: pod.Namespace, Annotations: pod.Annotations},
		Spec:     pod.Spec,
	}
}

// optionOf reads what a pod's annotation says about recreating it. It cannot be
// set on what was admitted without it by anybody who could not delete the pod.
func optionOf(pod *corev1.Pod) (out, in bool) {
	said := strings.ToLower(strings.TrimSpace(pod.Annotations[accel.ReadmissionAnnotation]))
	return said == "false", said == "true"
}
