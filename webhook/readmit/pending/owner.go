package pending

import (
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation"
)

// OwnerKind says how a pod is recreated, or what else moves it to another kind.
type OwnerKind string

const (
	OwnerNone       OwnerKind = "none"       // by us: a bare pod
	OwnerController OwnerKind = "controller" // by its controller, once it is deleted
	OwnerJob        OwnerKind = "job"        // by its Job, once it is released
	OwnerClaim      OwnerKind = "claim"      // not at all: another ResourceClaim moves it
)

// recreators are the controllers that recreate a deleted pod at once and count
// no failure, with their API groups.
var recreators = map[string]string{"ReplicaSet": "apps", "StatefulSet": "apps", "DaemonSet": "apps", "ReplicationController": ""}

// JobFinalizer is the Job controller's, by which it counts each pod once.
const JobFinalizer = "batch.kubernetes.io/job-tracking"

// JobLabels are the Job controller's; by the first of them it selects its pods.
var JobLabels = []string{"batch.kubernetes.io/controller-uid", "controller-uid", "batch.kubernetes.io/job-name", "job-name"}

// plausible reports whether a pod's reference to its controller is no longer than any
// that there is: the API server does not check that it exists.
func plausible(o *metav1.OwnerReference) bool {
	const longestUID, longestName = 64, validation.DNS1123SubdomainMaxLength
	return len(o.UID) <= longestUID && len(o.Name) <= longestName && len(o.APIVersion) <= longestName
}

// ownerOf says how a pod is recreated; ok is false for an owner of an unknown
// kind, and for a pod that somebody's finalizer would keep.
func ownerOf(pod *corev1.Pod, controller *metav1.OwnerReference) (OwnerKind, bool) {
	finalizers := slices.DeleteFunc(slices.Clone(pod.Finalizers), func(f string) bool { return f == JobFinalizer })
	if len(finalizers) > 0 {
		return "", false
	}
	if controller == nil {
		return OwnerNone, len(pod.Finalizers) == 0
	}
	if !plausible(controller) {
		return "", false
	}
	group, _, grouped := strings.Cut(controller.APIVersion, "/")
	if !grouped {
		group = ""
	}
	if controller.Kind == "Job" {
		// A Job with its own selector would select the released pod again.
		return OwnerJob, group == "batch" && pod.Labels[JobLabels[0]] == string(controller.UID)
	}
	want, known := recreators[controller.Kind]
	return OwnerController, known && want == group && len(pod.Finalizers) == 0
}
