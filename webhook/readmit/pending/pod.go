package pending

import (
	"cmp"
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"heteroaccel.io/pkg/accel"
	"heteroaccel.io/pkg/inventory"
	"heteroaccel.io/pkg/record"
	"heteroaccel.io/pkg/text"
	"heteroaccel.io/webhook/mutate"
	"heteroaccel.io/webhook/refusals"
	"heteroaccel.io/webhook/replacement"
)

// Pod is a pending pod that may be recreated, or moved by its claim. It never changes.
type Pod struct {
	Namespace, Name string
	UID             types.UID
	Priority        int32
	Created         time.Time
	Owner           OwnerKind
	Controller      *metav1.OwnerReference // nil for a bare pod
	Reservation     string
	// Hash is the label by which the ReplicaSets of a Deployment tell their pods
	// apart, "" when there is none.
	Hash string
	// Recreations is how often it was recreated already, or moved.
	Recreations int
	// Claim is the name of the ResourceClaim of a pod that is bound late, "" for any
	// other; Class is the DeviceClass of its kind, and Moved when it was moved last,
	// zero if it never was.
	Claim, Class string
	Moved        time.Time
	// Deadline is by when after First its run should be done, as its annotation says: 0
	// leaves it to the profile, and accel.NoDeadline, which a pod has that does not end by
	// itself, says that there is none. FirstAdmitted is its record's, zero for none.
	Deadline      time.Duration
	FirstAdmitted time.Time
	// Displaced is the kind from which a rollout displaced it, by its record.
	Displaced accel.Kind
	// Unschedulable is set once kube-scheduler has found no node for it. Verdict
	// is the reason it gave, cut at 1 KiB, and VerdictSince when that reason was first seen.
	Unschedulable bool
	Verdict       string
	VerdictSince  time.Time
	// OptOut and OptIn are whether the pod's annotation forbids or asks for
	// recreating it.
	OptOut, OptIn bool
	Template      *Template
}

// Since is when the pod has been waiting for its kind: since it was created, or moved
// to it.
func (p *Pod) Since() time.Time {
	if p.Moved.After(p.Created) {
		return p.Moved
	}
	return p.Created
}

// First is when the first of the pods was admitted that it replaces, or itself: its
// deadline counts from then. It is exact where the pod was admitted with a deadline, and
// a whole second for others, as in the API.
func (p *Pod) First() time.Time {
	if p.FirstAdmitted.IsZero() {
		return p.Created
	}
	return p.FirstAdmitted
}

// DisplacedOn is the kind from which a rollout displaced it, once it is on kind to: none
// where it is back.
func (p *Pod) DisplacedOn(to accel.Kind) accel.Kind {
	if p.Displaced == to {
		return ""
	}
	return p.Displaced
}

// RefusalOwner is the owner that the API server's refusals are remembered for.
func (p *Pod) RefusalOwner() refusals.Owner {
	return refusals.OwnerOf(p.Namespace, p.controllerUID(), p.Name, "")
}

// Origin is where its replacement comes from.
func (p *Pod) Origin() replacement.Origin {
	return replacement.OriginOf(p.Namespace, p.controllerUID(), p.Name)
}

func (p *Pod) controllerUID() types.UID {
	if p.Controller == nil {
		return ""
	}
	return p.Controller.UID
}

// Key is its namespace and name.
func (p *Pod) Key() types.NamespacedName {
	return types.NamespacedName{Namespace: p.Namespace, Name: p.Name}
}

// Of reads a pod; ok is false when it is not pending, when its record does not
// verify with keys, or when we do not know how to recreate it.
func Of(pod *corev1.Pod, keys *record.Keys) (p *Pod, ok bool) {
	if pod.Spec.NodeName != "" || pod.DeletionTimestamp != nil || len(pod.Spec.SchedulingGates) > 0 ||
		pod.Status.NominatedNodeName != "" || cmp.Or(pod.Status.Phase, corev1.PodPending) != corev1.PodPending {
		return nil, false
	}
	controller := metav1.GetControllerOf(pod)
	given, _ := record.Of(pod.Annotations, pod.Namespace, keys)
	successor := pod.Annotations[accel.SuccessorAnnotation] != ""
	if pod.Labels[accel.ReleasedLabel] != "" || successor && given.Claim == "" {
		return nil, false
	}
	owner := OwnerClaim
	if given.Claim == "" {
		if owner, ok = ownerOf(pod, controller); !ok {
			return nil, false
		}
	}
	kind, err := accel.ParseKind(pod.Annotations[accel.SelectedAnnotation])
	if err != nil {
		return nil, false
	}
	if given.Claim != "" {
		kind = given.Kind // which image and claim follow
	}
	undone, verified := mutate.Undo(AsMutated(pod), keys, pod.Namespace)
	req, ours, err := accel.ParseRequest(pod.Annotations)
	if !verified || !ours || err != nil || undone.Recorded == "" {
		return nil, false
	}
	p = &Pod{
		Namespace: pod.Namespace, Name: pod.Name, UID: pod.UID, Created: pod.CreationTimestamp.Time,
		Owner: owner, Controller: controller, Template: templateOf(undone, req, kind, owner == OwnerClaim),
		Reservation: pod.Annotations[accel.ReservationAnnotation], Recreations: replacement.Count(pod.Annotations),
		Claim: given.Claim, Class: given.Class, Moved: given.Moved,
		Deadline: req.Deadline, FirstAdmitted: given.FirstAdmitted, Displaced: given.Displaced,
	}
	if !inventory.Ends(pod) {
		p.Deadline = accel.NoDeadline
	}
	if controller != nil && controller.Kind == "ReplicaSet" {
		p.Hash = pod.Labels[appsv1.DefaultDeploymentUniqueLabelKey]
	}
	p.OptOut, p.OptIn = readmissionOption(pod)
	p.OptOut = p.OptOut || successor // it needs its claim, for the kind that it was created for
	for _, c := range pod.Status.Conditions {
		if c.Type == corev1.PodScheduled && c.Status == corev1.ConditionFalse && c.Reason == corev1.PodReasonUnschedulable && !p.awaitsClaim(c.Message) {
			p.Unschedulable, p.Verdict = true, text.Shorten(c.Message, maxVerdict)
		}
	}
	if pod.Spec.Priority != nil {
		p.Priority = *pod.Spec.Priority
	}
	return p, true
}

// awaitsClaim reports whether a message of kube-scheduler's is not about nodes: the
// pod's claim is not there yet.
func (p *Pod) awaitsClaim(message string) bool {
	return p.Claim != "" && strings.Contains(message, p.Claim)
}

// maxVerdict bounds a Verdict, in bytes.
const maxVerdict = 1 << 10

// readmissionOption reads whether a pod's annotation forbids or asks for
// recreating it. Once a pod is admitted, only who may delete it can set that.
func readmissionOption(pod *corev1.Pod) (out, in bool) {
	value := strings.ToLower(strings.TrimSpace(pod.Annotations[accel.ReadmissionAnnotation]))
	return value == "false", value == "true"
}
