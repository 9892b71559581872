package inventory

import (
	"slices"
	"time"
	"unique"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/component-helpers/resource"

	"heteroaccel.io/pkg/accel"
	"heteroaccel.io/pkg/quota"
	"heteroaccel.io/pkg/record"
	"heteroaccel.io/pkg/resources"
	"heteroaccel.io/pkg/text"
)

// Pod is what the inventory keeps of a pod. It is immutable.
type Pod struct {
	Namespace, Name string
	UID             types.UID
	// Node is where the pod is bound, "" while it is not.
	Node string
	// Done is set once the pod succeeded or failed: it holds nothing then.
	Done bool
	// Needs is what the pod requests, as kube-scheduler counts it.
	Needs resources.Amounts
	// Claim is the ResourceClaim by which a pod that the webhook binds late gets its
	// device, which Needs counts as one of its DeviceClass, but for the CPU: see
	// accel.ClassResource. "" for any other pod.
	Claim string
	// Managed is set for a pod that the webhook admitted, by its verified record.
	Managed *Managed
	// RecordKey is the id of the key of its record, which is verified if Managed is
	// set; else a key of that id is not known, if there ever was one. "" for none.
	RecordKey string
	// Run is set for a pod that wants an accelerator or refers to ResourceClaims, ours
	// or not.
	Run *Run
	// Constraints say where an unbound pod may run, in the inventory's own record
	// by its volumes as well; nil once it is bound, and for pods that want no
	// accelerator.
	Constraints *Constraints
	// Scheduler is the name of the scheduler that is to bind the pod.
	Scheduler string
	// Gated is set while the pod has scheduling gates.
	Gated bool
	// Deleted is set once the pod is being deleted: it holds what it has until
	// it is gone, but the scheduler does not bind it any more.
	Deleted bool
	// Verdict is why kube-scheduler last found no node for the pod, in its own
	// words, at most maxText bytes. VerdictTime is since when, in whole
	// seconds. Both are zero before that, and once the pod is bound.
	Verdict     string
	VerdictTime time.Time

	// volumeClaims are those of an unbound pod, ownConstraints its constraints
	// without those of its volumes.
	volumeClaims   []string
	ownConstraints *Constraints

	// claims is nil for a pod to which no ResourceClaim can be allocated.
	claims *podClaims

	// quotaUsage is shared by the pods of one template.
	quotaUsage unique.Handle[quota.Usage]
}

// Managed is what only pods have that the webhook admitted.
type Managed struct {
	// Inference and Kind are what the pod was given, by its record.
	Inference string
	Kind      accel.Kind
	// Priority is the pod's, by which kube-scheduler orders its queue.
	Priority int32
	// Unwritten is set when the webhook wrote the device nowhere that the program
	// is known to read, so that it may have run on another kind and its duration
	// is not learned from. It is from the record too.
	Unwritten bool
	// Deadline is by when after FirstAdmitted its run should be done, as its annotation
	// says: see accel.Request. FirstAdmitted is its record's, zero for none.
	Deadline      time.Duration
	FirstAdmitted time.Time
	// Reservation is the id of the decision, which the record is bound to.
	Reservation string
	// Reason explains the decision. Anybody may write it, so nothing depends on it.
	Reason string
}

// Key is "namespace/name".
func (p *Pod) Key() string { return p.Namespace + "/" + p.Name }

// First is when the first of the pods was admitted that p, which the webhook admitted,
// replaces, or p itself: its deadline and its wait count from then. It is a whole second
// where its record does not tell, and zero where nothing does.
func (p *Pod) First() time.Time {
	if p.Managed.FirstAdmitted.IsZero() && p.Run != nil {
		return p.Run.Created
	}
	return p.Managed.FirstAdmitted
}

func (p *Pod) name() types.NamespacedName {
	return types.NamespacedName{Namespace: p.Namespace, Name: p.Name}
}

// host is the node where the pod holds resources, "" for none; p may be nil.
func (p *Pod) host() string {
	if p == nil || p.Done {
		return ""
	}
	return p.Node
}

// isPending reports whether the pod is in kube-scheduler's queue and wants an
// accelerator: it has a claim on the kind although it holds nothing yet. One whose
// devices are allocated already has none any more.
func (p *Pod) isPending() bool {
	return p.Node == "" && !p.Done && !p.Gated && !p.Deleted && p.wantsAccelerator() &&
		(len(p.counts().Devices) > 0 || len(p.Needs.Devices) == 0)
}

// wantsAccelerator reports whether the webhook admitted the pod, or it requests
// devices.
func (p *Pod) wantsAccelerator() bool { return p.Managed != nil || len(p.Needs.Devices) > 0 }

// holdsAccelerator reports whether the pod, if it is bound, is one of its node's
// Holders.
func (p *Pod) holdsAccelerator() bool { return p.wantsAccelerator() || len(p.Holds().Devices) > 0 }

// recordKey is RecordKey of a pod, whose record verifies or not.
func recordKey(pod *corev1.Pod, keys *record.Keys, verified bool) string {
	sealed := pod.Annotations[accel.OriginalAnnotation]
	id, named := record.KeyOf(sealed)
	switch {
	case verified && !named: // it is of before records named their key
		return record.SealedBy(sealed, keys, pod.Namespace, pod.Annotations[accel.ReservationAnnotation])
	case !verified && keys.Has(id):
		return ""
	}
	return id
}

// PodOf reads a pod of the API server. keys verify which pods the webhook
// admitted; without keys none is.
func PodOf(pod *corev1.Pod, keys *record.Keys) *Pod {
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
	requests := resource.PodRequests(resources.Sane(pod), resource.PodResourcesOptions{UseStatusResources: true})
	p.Needs = resources.Of(requests)
	if len(p.Needs.Devices) > MaxDevices {
		p.Needs.Devices = slices.Clone(p.Needs.Devices[:MaxDevices])
	}
	implicit := implicitOf(requests)
	p.Needs = sum(p.Needs, implicit)
	given, ours := record.Of(pod.Annotations, pod.Namespace, keys)
	if id := recordKey(pod, keys, ours); id != "" {
		p.RecordKey = unique.Make(id).Value()
	}
	if ours {
		p.Managed = &Managed{
			Inference:   unique.Make(given.Inference).Value(),
			Kind:        given.Kind,
			Unwritten:   given.Unwritten,
			Reservation: pod.Annotations[accel.ReservationAnnotation],
			Reason:      text.Shorten(pod.Annotations[accel.ReasonAnnotation], maxText),

			FirstAdmitted: given.FirstAdmitted,
		}
		if pod.Spec.Priority != nil {
			p.Managed.Priority = *pod.Spec.Priority
		}
		if _, has := pod.Annotations[accel.DeadlineAnnotation]; has {
			if req, _, err := accel.ParseRequest(pod.Annotations); err == nil {
				p.Managed.Deadline = req.Deadline
			}
		}
	}
	if ours {
		p.Claim = given.Claim
	}
	// Cores are accounted for by the node, and any number of pods share the device that
	// stands for them.
	var class string
	if ours && given.Class != "" && given.Kind != accel.CPU {
		class = unique.Make(accel.ClassResource(given.Class)).Value()
		p.Needs = p.Needs.With(class, 1)
	}
	if p.Claim != "" || len(pod.Spec.ResourceClaims) > 0 || len(implicit.Devices) > 0 {
		p.claims = &podClaims{class: class, implicit: implicit, counts: p.Needs, holds: p.Needs}
	}
	p.quotaUsage = unique.Make(quota.UsageOf(pod))
	if p.wantsAccelerator() || p.claims != nil {
		p.Run = runOf(pod, given.Container)
	}
	if p.wantsAccelerator() {
		if p.Node == "" {
			p.Constraints = ConstraintsOf(&pod.Spec)
			if p.volumeClaims = VolumeClaimsOf(pod.Spec.Volumes, pod.Name); len(p.volumeClaims) > 0 {
				p.ownConstraints = p.Constraints
			}
		}
	}
	return p
}

// MaxDevices bounds the kinds of devices that a pod may request: what is counted of a
// pod with more, which no node has, are the first of them.
const MaxDevices = 64

// maxText bounds a Verdict and a Reason, in bytes.
const maxText = 1 << 10

// verdictOf reads the condition PodScheduled, which is not the scheduler's while
// the pod has scheduling gates.
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
		// Pods of one class often share a verdict.
		return unique.Make(text.Shorten(verdict, maxText)).Value(), c.LastTransitionTime.Time
	}
	return "", time.Time{}
}
