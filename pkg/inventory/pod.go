package inventory

import (
	"time"
	"unicode/utf8"
	"unique"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/component-helpers/resource"

	"heteroaccel.io/pkg/accel"
	"heteroaccel.io/pkg/quota"
	"heteroaccel.io/pkg/record"
	"heteroaccel.io/pkg/resources"
)

// Pod is what the inventory keeps of a pod. It is immutable.
type Pod struct {
	Namespace, Name string
	UID             types.UID
	// Node is where the pod is bound, "" while it is not.
	Node string
	// Done is set once the pod ended, well or not: it holds nothing then.
	Done bool
	// Needs is what the pod requests, as kube-scheduler counts it.
	Needs resources.Amounts
	// Managed is set for a pod that the webhook admitted, which its verified
	// record shows.
	Managed *Managed
	// Run is set for a pod that is after an accelerator, ours or not.
	Run *Run
	// Constraints say where an unbound pod may go, the inventory's own record
	// also by its volumes; nil once it is bound, and for pods that compete for
	// no accelerator.
	Constraints *Constraints
	// Scheduler is the name of the scheduler that is to bind the pod.
	Scheduler string
	// Gated is set while scheduling gates keep the pod from the scheduler.
	Gated bool
	// Deleted is set once the pod is being deleted: it holds what it has until
	// it is gone, but the scheduler binds it no more.
	Deleted bool
	// Verdict is why kube-scheduler last found no node for the pod, in its own
	// words, at most mostVerdict bytes, and VerdictTime since when it has found
	// none, in whole seconds. Both are zero while it has not said so, and once
	// the pod is bound.
	Verdict     string
	VerdictTime time.Time

	// volumeClaims are those of an unbound pod, and unmounted its constraints without
	// those of the volumes that they are bound to.
	volumeClaims   []string
	ownConstraints *Constraints

	// quotaUsage is shared by the pods of one template.
	quotaUsage unique.Handle[quota.Usage]
}

// Managed is what only our own pods have.
type Managed struct {
	// Inference and Kind, what the pod was given, are from its record.
	Inference string
	Kind      accel.Kind
	// Unwritten is set when the webhook could write the device nowhere that the
	// program is known to read, so that it may have run on another kind's: how
	// long it took teaches nothing. It is from the record too.
	Unwritten bool
	// Reservation is the id of the decision, which the record is bound to.
	Reservation string
	// Reason is anybody's to write: it explains, and decides nothing.
	Reason string
}

// Key is "namespace/name".
func (p *Pod) Key() string { return p.Namespace + "/" + p.Name }

func (p *Pod) name() types.NamespacedName {
	return types.NamespacedName{Namespace: p.Namespace, Name: p.Name}
}

// host is the node where the pod holds something, "" when there is none; p may
// be nil.
func (p *Pod) host() string {
	if p == nil || p.Done {
		return ""
	}
	return p.Node
}

// isPending reports whether the pod is in kube-scheduler's queue for an
// accelerator: it counts against that kind although it holds nothing yet.
func (p *Pod) isPending() bool {
	return p.Node == "" && !p.Done && !p.Gated && !p.Deleted && p.wantsAccelerator()
}

// wantsAccelerator reports whether the pod is after an accelerator at all.
func (p *Pod) wantsAccelerator() bool { return p.Managed != nil || len(p.Needs.Devices) > 0 }

// PodOf reduces a pod of the API server to its record. key verifies which pods
// are ours; without one none is.
func PodOf(pod *corev1.Pod, key []byte) *Pod {
	p := &Pod{
		Namespace: unique.Make(pod.Namespace).Value(),
		Name:      pod.Name,
		UID:       pod.UID,
		Node:      unique.Make(pod.Spec.NodeName).Value(),
		Done:      pod.Status.Phase == corev1.PodSucceeded || pod.Status.Phase == corev1.PodFailed,
		Scheduler: unique.Make(pod.Spec.SchedulerName).Value(),
		Gated:     len(pod.Spec.SchedulingGates) > 0,
		Deleted:   pod.DeletionTimestamp != nil,
	}
	p.Verdict, p.VerdictTime = verdictOf(pod)
	p.Needs = resources.Of(resource.PodRequests(pod, resource.PodResourcesOptions{UseStatusResources: true}))
	given, ours := record.Of(pod.Annotations, pod.Namespace, key)
	if ours {
		p.Managed = &Managed{
			Inference:   unique.Make(given.Inference).Value(),
			Kind:        given.Kind,
			Unwritten:   given.Unwritten,
			Reservation: pod.Annotations[accel.ReservationAnnotation],
			Reason:      pod.Annotations[accel.ReasonAnnotation],
		}
	}
	p.quotaUsage = unique.Make(quota.UsageOf(pod))
	if p.wantsAccelerator() {
		p.Run = runOf(pod, given.Container)
		if p.Node == "" {
			p.Constraints = ConstraintsOf(&pod.Spec)
			if p.volumeClaims = VolumeClaimsOf(pod.Spec.Volumes, pod.Name); len(p.volumeClaims) > 0 {
				p.ownConstraints = p.Constraints
			}
		}
	}
	return p
}

// maxVerdict bounds the scheduler's words that are kept, in bytes.
const maxVerdict = 1 << 10

// verdictOf reads the condition PodScheduled. What scheduling gates keep from
// the scheduler it has said nothing of.
func verdictOf(pod *corev1.Pod) (verdict string, since time.Time) {
	if pod.Spec.NodeName != "" || len(pod.Spec.SchedulingGates) > 0 {
		return "", time.Time{}
	}
	for i := range pod.Status.Conditions {
		c := &pod.Status.Conditions[i]
		if c.Type != corev1.PodScheduled || c.Status != corev1.ConditionFalse {
			continue
		}
		verdict = c.Message
		switch {
		case verdict == "":
			verdict = c.Reason
		case c.Reason != corev1.PodReasonUnschedulable:
			verdict = c.Reason + ": " + verdict
		}
		// Pods that wait for the same share the scheduler's words.
		return unique.Make(shorten(verdict)).Value(), c.LastTransitionTime.Time
	}
	return "", time.Time{}
}

// shorten cuts a text to mostVerdict bytes, between runes.
func shorten(s string) string {
	if len(s) <= maxVerdict {
		return s
	}
	end := maxVerdict - len("…")
	for end > 0 && !utf8.RuneStart(s[end]) {
		end--
	}
	return s[:end] + "…"
}
