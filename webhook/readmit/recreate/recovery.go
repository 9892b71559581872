package recreate

import (
	"context"
	"errors"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"heteroaccel.io/pkg/accel"
	"heteroaccel.io/webhook/readmit/podapi"
	"heteroaccel.io/webhook/replacement"
)

const (
	// sweepPeriod is how often pods are looked for that were released and not
	// deleted, or created first and not adopted; sweepRetry is the wait after an
	// error.
	sweepPeriod = 5 * time.Minute
	sweepRetry  = 5 * time.Second
)

// Recover finishes, at once and every sweepPeriod from then on until ctx ends,
// what an earlier term started: it deletes pods that were released from their
// Job, and adopts or deletes pods that were created first.
func (r *Recreator) Recover(ctx context.Context) {
	for {
		wait := sweepPeriod
		if err := errors.Join(r.sweepReleased(ctx), r.sweepSuccessors(ctx)); err != nil {
			r.Pods.Log.Warn().Err(err).Msg("pods released from their Job, or created first: not all are swept yet")
			wait = sweepRetry
		}
		select {
		case <-ctx.Done():
			return
		case <-r.orphaned:
		case <-time.After(wait):
		}
	}
}

func (r *Recreator) sweepReleased(ctx context.Context) error {
	list, cancel := context.WithTimeout(ctx, podapi.CallLimit)
	defer cancel()
	pods, err := r.Pods.CoreV1().Pods(corev1.NamespaceAll).List(list, metav1.ListOptions{LabelSelector: accel.ReleasedLabel})
	if err != nil {
		return fmt.Errorf("list the released pods: %w", err)
	}
	for i := range pods.Items {
		pod := &pods.Items[i]
		if !released(pod, r.Keys()) || metav1.GetControllerOf(pod) != nil {
			continue
		}
		if err := r.Pods.Delete(ctx, nameOf(pod), metav1.Preconditions{UID: &pod.UID}); err != nil && !apierrors.IsNotFound(err) {
			return err
		}
	}
	return nil
}

// sweepSuccessors adopts each pod that was created first and is bound, if the one
// before it is still pending, or is Ready, if that one serves; any other it deletes, and
// nothing is lost.
func (r *Recreator) sweepSuccessors(ctx context.Context) error {
	call, cancel := context.WithTimeout(ctx, podapi.CallLimit)
	defer cancel()
	pods, err := r.Pods.CoreV1().Pods(corev1.NamespaceAll).List(call, metav1.ListOptions{LabelSelector: accel.SuccessorLabel})
	if err != nil {
		return fmt.Errorf("list the pods that were created first: %w", err)
	}
	for i := range pods.Items {
		pod := &pods.Items[i]
		name := nameOf(pod)
		s, ours := replacement.SuccessionOf(pod.Annotations, r.Keys(), pod.Namespace, pod.Name)
		if !ours || !r.isOrphan(pod) || pod.DeletionTimestamp != nil || r.isWatched(name) {
			continue
		}
		if pod.Spec.NodeName != "" {
			if err = r.mayReplace(ctx, s, pod); err == nil {
				err = r.adopt(ctx, s, name)
			}
			if err == nil {
				r.Pods.Log.Info().Str("pod", name.String()).Str("replaces", s.OldName).Msg("adopted a pod that was created first")
				continue
			}
		}
		if ctx.Err() == nil {
			r.Pods.Log.Info().Err(err).Str("pod", name.String()).Msg("delete a pod that was created first")
			r.discardAndRestore(ctx, s, name)
		}
	}
	return nil
}

// mayReplace asks whether the pod before a successor may go, if it serves.
func (r *Recreator) mayReplace(ctx context.Context, s replacement.Succession, next *corev1.Pod) error {
	if !s.Serving {
		return nil
	}
	call, cancel := context.WithTimeout(ctx, podapi.CallLimit)
	defer cancel()
	set, err := r.Pods.AppsV1().ReplicaSets(next.Namespace).Get(call, s.SetName, metav1.GetOptions{})
	if err != nil {
		return fmt.Errorf("get the pod's ReplicaSet: %w", err)
	}
	if !isAvailable(next, ofReplicaSet(set).minReady, time.Now()) {
		return fmt.Errorf("%w: the next one is not available yet", podapi.ErrChanged)
	}
	old, err := r.Pods.Get(ctx, oldOf(s, next.Namespace))
	if err != nil {
		return err
	}
	return r.Pods.MayDisrupt(ctx, old)
}
