package inventory

import (
	"unique"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/component-helpers/resource"

	"heteroaccel.io/pkg/accel"
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
	Needs Resources
	// Managed is set for a pod that the webhook admitted, which the marker
	// resource shows: it cannot be added to a pod later.
	Managed *Managed
	// Run is set for a pod that is after an accelerator, ours or not.
	Run *Run
	// Constraints say where an unbound pod may go; nil once it is bound, and
	// for pods that compete for no accelerator.
	Constraints *Constraints
	// Scheduler is the name of the scheduler that is to bind the pod.
	Scheduler string
	// Gated is set while scheduling gates keep the pod from the scheduler.
	Gated bool
	// Deleted is set once the pod is being deleted: it holds what it has until
	// it is gone, but the scheduler binds it no more.
	Deleted bool

	// charge is shared by the pods of one template.
	charge unique.Handle[Charge]
}

// Managed is what only our own pods have. Its texts come from annotations,
// which whoever may write the pod can change: they explain and estimate, and
// nothing that must be right is decided by them.
type Managed struct {
	Inference, Reason, Reservation string
	// Kind is the kind the pod was given; "" when its annotation was lost.
	Kind accel.Kind
	// Unwritten is set when the webhook could write the device nowhere that the
	// program is known to read, so that it may have run on another kind's: how
	// long it took teaches nothing. It is "unwritten" of the verified record.
	Unwritten bool
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

// waits reports whether the pod is in kube-scheduler's queue for an
// accelerator: it counts against that kind although it holds nothing yet.
func (p *Pod) waits() bool {
	return p.Node == "" && !p.Done && !p.Gated && !p.Deleted && p.competes()
}

// charged reports whether quotas count the pod for certain; p may be nil. One
// that is being deleted counts for a while longer, which the quota knows best.
func (p *Pod) charged() bool { return p != nil && !p.Done && !p.Deleted }

// terms is what quotas ask about the pod.
func (p *Pod) terms() *Charge {
	if p.charge == (unique.Handle[Charge]{}) {
		return &Charge{}
	}
	c := p.charge.Value()
	return &c
}

// competes reports whether the pod is after an accelerator at all.
func (p *Pod) competes() bool { return p.Managed != nil || len(p.Needs.Devices) > 0 }

// PodOf reduces a pod of the API server to its record.
func PodOf(pod *corev1.Pod) *Pod {
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
	requests := resource.PodRequests(pod, resource.PodResourcesOptions{UseStatusResources: true})
	p.Needs = ResourcesOf(requests)
	if _, marked := requests[accel.MarkerResource]; marked {
		p.Managed = managedOf(pod)
	}
	p.charge = unique.Make(ChargeOf(pod))
	if p.competes() {
		p.Run = runOf(pod)
		if p.Node == "" {
			p.Constraints = ConstraintsOf(&pod.Spec)
		}
	}
	return p
}

func managedOf(pod *corev1.Pod) *Managed {
	m := &Managed{
		Reason:      pod.Annotations[accel.ReasonAnnotation],
		Reservation: pod.Annotations[accel.ReservationAnnotation],
	}
	m.Kind, _ = accel.ParseKind(pod.Annotations[accel.SelectedAnnotation])
	if req, ok, err := accel.ParseRequest(pod.Annotations); ok && err == nil {
		m.Inference = unique.Make(req.Inference).Value()
	}
	return m
}
