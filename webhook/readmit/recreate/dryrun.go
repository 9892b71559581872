package recreate

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"heteroaccel.io/pkg/accel"
	"heteroaccel.io/webhook/readmit/pending"
	"heteroaccel.io/webhook/readmit/podapi"
	"heteroaccel.io/webhook/refusals"
	"heteroaccel.io/webhook/replacement"
)

// subject is a pod that its controller recreates.
type subject struct {
	controller metav1.OwnerReference
	origin     replacement.Origin
	owner      refusals.Owner
	// onDelete is set where it may be recreated although its controller replaces pods
	// only when somebody deletes them.
	onDelete bool
}

func subjectOf(p *pending.Pod) subject {
	return subject{*p.Controller, p.Origin(), p.RefusalOwner(), p.OptIn}
}

// dryRun asks whether the API server would admit the pod that a controller
// will create in the place of old with a kind: a dry run of exactly that pod, which
// names the kind. nil is yes. A refusal is remembered, so that the next try is
// for another kind.
//
// The dry run is made under our own account, and policies may tell it from the
// controller's: it is a prediction. Where we have no right to ask, a pod moves
// only to a kind that another pod of its controller was admitted with.
func (r *Recreator) dryRun(ctx context.Context, s subject, old *corev1.Pod, to accel.Kind) error {
	if !r.DryRun {
		return r.precedent(&s.controller, to)
	}
	c, err := r.controllerOf(ctx, old.Namespace, s.controller)
	switch {
	case podapi.Unauthorized(err):
		return r.precedent(&s.controller, to)
	case err != nil:
		return err
	case c.onDelete && !s.onDelete:
		return podapi.Rejection{Reason: fmt.Sprintf("its %s replaces pods only when somebody deletes them (OnDelete): annotate the template with %s: \"true\" to have them recreated for an idle accelerator all the same",
			s.controller.Kind, accel.ReadmissionAnnotation)}
	}
	pod := c.replacement(old)
	pod.Annotations[accel.IntendedAnnotation] = replacement.SealIntent(r.Keys(), s.origin, to)
	_, err = r.Pods.Create(ctx, pod, true)
	if podapi.Unauthorized(err) {
		return r.precedent(&s.controller, to)
	}
	return r.answer(s.owner, old, to, err)
}

// answer reads the API server's answer to a dry run for a pod in the place of
// old.
func (r *Recreator) answer(owner refusals.Owner, old *corev1.Pod, to accel.Kind, err error) error {
	switch {
	case err == nil, apierrors.IsAlreadyExists(err): // the name is old's, which goes
		return nil
	case onlyUntilGone(err, old):
		return nil
	case podapi.Definite(err):
		r.Refusals.Denied(owner, to, err.Error())
		return podapi.Rejection{Reason: fmt.Sprintf("with %s the API server would refuse it: %v", to, err)}
	}
	return fmt.Errorf("dry run of the recreated pod: %w", err)
}

// precedent lets a pod move to a kind that another pod of its controller was
// admitted with, and to no other.
func (r *Recreator) precedent(controller *metav1.OwnerReference, to accel.Kind) error {
	if controller != nil && r.Admitted(controller.UID, to) {
		return nil
	}
	return podapi.Rejection{Reason: fmt.Sprintf("whether the API server would admit it with %s cannot be asked, and no other pod of its controller has one: give the webhook the right to create pods and to get their controllers", to)}
}
