package readmit

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"heteroaccel.io/pkg/accel"
	"heteroaccel.io/pkg/inventory"
	"heteroaccel.io/webhook/replacement"
)

// callLimit bounds each call of the API server.
const callLimit = 10 * time.Second

// errLost says that the pod went, was bound or changed before we came to it:
// nothing is wrong.
var errLost = errors.New("the pod is no longer what it was")

// refusal says why a pod is left alone, in a sentence for whoever owns it.
type refusal struct{ reason string }

func (r refusal) Error() string { return r.reason }

func refused(err error) bool {
	_, ok := errors.AsType[refusal](err)
	return ok
}

// replace has a pod recreated for a kind. Nothing is done twice: every change is
// bound to the UID and the resourceVersion of the pod that was looked at.
func (r *Readmitter) replace(ctx context.Context, w *waiter, k *replacement.Expected, chosen inventory.Candidate) error {
	const tries = 3
	to := chosen.Kind
	err := r.createFirst(ctx, w, k, chosen)
	if !errors.Is(err, errGiveUpFirst) {
		return err
	}
	for range tries {
		switch w.owner {
		case ownerController:
			err = r.giveUp(ctx, w, to)
		case ownerJob:
			err = r.release(ctx, w, to)
		default:
			err = r.recreate(ctx, w, k, to)
		}
		if !apierrors.IsConflict(err) {
			break // else it was only touched, by the scheduler for instance
		}
	}
	return lost(err)
}

// lost takes it that what is not found, or has changed, is no longer what it was.
func lost(err error) error {
	if apierrors.IsNotFound(err) || apierrors.IsConflict(err) {
		return fmt.Errorf("%w: %w", errLost, err)
	}
	return err
}

// current returns the pod as it is now, if it still waits for the same.
func (r *Readmitter) current(ctx context.Context, w *waiter) (*corev1.Pod, error) {
	ctx, cancel := context.WithTimeout(ctx, callLimit)
	defer cancel()
	pod, err := r.Client.CoreV1().Pods(w.namespace).Get(ctx, w.name, metav1.GetOptions{})
	if err != nil {
		return nil, fmt.Errorf("look at the pod: %w", err)
	}
	return pod, r.same(pod, w)
}

// same checks that a pod is the one we know, and holds what it says it waits
// for: that is an annotation, and so anybody's writing.
func (r *Readmitter) same(pod *corev1.Pod, w *waiter) error {
	now, ok := waiterOf(pod, r.Key)
	if !ok || now.uid != w.uid || now.class.key != w.class.key || now.reservation != w.reservation || now.owner != w.owner {
		return errLost
	}
	_, options, err := r.Options.Of(w.namespace, now.class.pod, now.class.req)
	i := slices.IndexFunc(options, func(o inventory.Option) bool { return o.Kind == now.class.kind })
	if err != nil || i < 0 || !slices.Equal(options[i].Needs.Devices, inventory.PodOf(pod, r.Key).Needs.Devices) {
		return refusal{fmt.Sprintf("it asks for something else than %s does now: delete it, and it is created as things are", now.class.kind)}
	}
	return nil
}

// giveUp deletes a pod and leaves the rest to its controller.
func (r *Readmitter) giveUp(ctx context.Context, w *waiter, to accel.Kind) error {
	pod, err := r.current(ctx, w)
	if err != nil {
		return err
	}
	if err := r.ask(ctx, w, pod, to); err != nil {
		return err
	}
	return r.deletePod(ctx, pod.Namespace, pod.Name, metav1.Preconditions{UID: &pod.UID, ResourceVersion: &pod.ResourceVersion})
}

func (r *Readmitter) deletePod(ctx context.Context, namespace, name string, p metav1.Preconditions) error {
	ctx, cancel := context.WithTimeout(ctx, callLimit)
	defer cancel()
	if err := r.Client.CoreV1().Pods(namespace).Delete(ctx, name, metav1.DeleteOptions{Preconditions: &p}); err != nil {
		return fmt.Errorf("delete the pod: %w", err)
	}
	return nil
}
