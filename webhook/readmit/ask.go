package readmit

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"heteroaccel.io/pkg/accel"
	"heteroaccel.io/webhook/replacement"
)

// ask has the API server say whether it would let in the pod that w's
// controller will create in its place with a kind: a dry run of that very pod,
// which names the kind. nil is yes. A refusal is remembered, so that the next
// try is for another kind.
//
// The dry run is made under our own account, and policies may tell it from the
// controller's: it is a prediction. Where we have no right to ask, only a kind
// that another pod of the controller was let in with is moved to.
func (r *Readmitter) ask(ctx context.Context, w *waiter, old *corev1.Pod, to accel.Kind) error {
	if !r.DryRun {
		return r.precedent(w, to)
	}
	c, err := r.controllerOf(ctx, w)
	switch {
	case unauthorized(err):
		return r.precedent(w, to)
	case err != nil:
		return err
	case c.onDelete && !w.optIn:
		return refusal{fmt.Sprintf("its %s replaces pods only when somebody deletes them (OnDelete): annotate the template with %s: \"true\" to have them recreated for an idle accelerator all the same",
			w.controller.Kind, accel.ReadmissionAnnotation)}
	}
	pod := c.replacement(old)
	pod.Annotations[accel.IntendedAnnotation] = replacement.SealIntent(r.Key, w.origin(), to)
	call, cancel := context.WithTimeout(ctx, callLimit)
	defer cancel()
	_, err = r.Client.CoreV1().Pods(w.namespace).Create(call, pod, metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
	if unauthorized(err) {
		return r.precedent(w, to)
	}
	return r.verdict(w, old, to, err)
}

// verdict reads the API server's answer to a dry run for a pod in the place of
// old.
func (r *Readmitter) verdict(w *waiter, old *corev1.Pod, to accel.Kind, err error) error {
	switch {
	case err == nil, apierrors.IsAlreadyExists(err): // the name is old's, which goes
		return nil
	case onlyUntilGone(err, old):
		return nil
	case definite(err):
		r.Refusals.Denied(w.refused(), to, err.Error())
		return refusal{fmt.Sprintf("with %s it would be refused: %v", to, err)}
	}
	return fmt.Errorf("ask whether the pod could be recreated: %w", err)
}

// precedent lets a pod move to a kind that another pod of its controller was
// let in with, and to no other.
func (r *Readmitter) precedent(w *waiter, to accel.Kind) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if w.controller != nil && r.book.given[precedent{w.controller.UID, to}] > 0 {
		return nil
	}
	return refusal{fmt.Sprintf("whether it would be let in with %s cannot be asked (it takes the right to create pods and to get their controllers), and no other pod of its controller has one", to)}
}

// unauthorized reports whether the API server refused a call for want of a
// right, and not what was called for. Its authorizer's words name the verb.
func unauthorized(err error) bool {
	if !apierrors.IsForbidden(err) {
		return false
	}
	return slices.ContainsFunc([]string{"cannot create resource", "cannot get resource"}, func(words string) bool {
		return strings.Contains(err.Error(), words)
	})
}

// onlyUntilGone reports whether all that is against a pod is that a quota still
// counts the one before it. The quota's plugin is the last to judge, so that
// all others have let the pod in.
func onlyUntilGone(err error, old *corev1.Pod) bool {
	var status apierrors.APIStatus
	if !apierrors.IsForbidden(err) || !errors.As(err, &status) {
		return false
	}
	excess, ok := excessOf(status.Status().Message)
	if !ok {
		return false
	}
	for name, over := range excess {
		charge := chargeOf(old, name)
		if charge.Cmp(over) < 0 {
			return false
		}
	}
	return true
}
