package readmit

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"heteroaccel.io/pkg/accel"
	"heteroaccel.io/webhook/replacement"
)

// goesFirst is the lowest pod-deletion-cost: of two pods without a node the
// ReplicaSet deletes the one that has it.
const goesFirst = "-2147483648"

// adopt makes a successor one of its ReplicaSet's pods, if the pod before it
// still waits; errLost if it does not. It can be begun any number of times.
func (r *Readmitter) adopt(ctx context.Context, s replacement.Succession, name types.NamespacedName) (err error) {
	r.untilDone(ctx, "have a ReplicaSet adopt a pod", func(ctx context.Context) error {
		const tries = 5
		for range tries {
			if err = r.tryToAdopt(ctx, s, name); !apierrors.IsConflict(err) {
				break // else it was only touched, by its kubelet for instance
			}
		}
		if err != nil && !definite(err) && !errors.Is(err, errLost) {
			return err
		}
		return nil
	})
	return lost(err)
}

func (r *Readmitter) tryToAdopt(ctx context.Context, s replacement.Succession, name types.NamespacedName) error {
	pods := r.Client.CoreV1().Pods(name.Namespace)
	next, err := pods.Get(ctx, name.Name, metav1.GetOptions{})
	if err != nil {
		return fmt.Errorf("look at the next pod: %w", err)
	}
	if c := metav1.GetControllerOfNoCopy(next); c != nil && c.UID == s.SetUID {
		return nil
	}
	if !r.successor(next) || next.DeletionTimestamp != nil || next.Spec.NodeName == "" {
		return fmt.Errorf("%w: the next one is not what it was created as", errLost)
	}
	old, err := pods.Get(ctx, s.OldName, metav1.GetOptions{})
	if err != nil {
		return fmt.Errorf("look at the pod: %w", err)
	}
	if now, waits := waiterOf(old, r.Key); !waits || now.uid != s.OldUID {
		return fmt.Errorf("%w: it waits no more", errLost)
	}
	if old.Annotations[corev1.PodDeletionCost] != goesFirst {
		if err := r.change(ctx, old, map[string]any{"annotations": map[string]any{corev1.PodDeletionCost: goesFirst}}); err != nil {
			return fmt.Errorf("have the pod that waits deleted first: %w", err)
		}
	}
	if err := r.change(ctx, next, adoption(s)); err != nil {
		return fmt.Errorf("have the ReplicaSet adopt the next pod: %w", err)
	}
	return nil
}

// change patches the metadata of a pod that has not changed since.
func (r *Readmitter) change(ctx context.Context, pod *corev1.Pod, metadata map[string]any) error {
	metadata["uid"], metadata["resourceVersion"] = pod.UID, pod.ResourceVersion
	patch, err := json.Marshal(map[string]any{"metadata": metadata})
	if err != nil {
		return fmt.Errorf("encode the change of a pod: %w", err)
	}
	_, err = r.patchPod(ctx, pod, patch)
	return err
}

// successor reports whether a pod was created first and is nobody's yet.
func (r *Readmitter) successor(pod *corev1.Pod) bool {
	_, ours := replacement.SuccessionOf(pod.Annotations, r.Key, pod.Namespace, pod.Name)
	return ours && metav1.GetControllerOfNoCopy(pod) == nil
}

// discard deletes a successor, if there is one; adopted says that it is its
// ReplicaSet's by now, and stays.
func (r *Readmitter) discard(ctx context.Context, name types.NamespacedName) (adopted bool) {
	r.untilDone(ctx, "delete a pod that was created first", func(ctx context.Context) error {
		pod, err := r.Client.CoreV1().Pods(name.Namespace).Get(ctx, name.Name, metav1.GetOptions{})
		if err == nil && !r.successor(pod) {
			adopted = true
			return nil
		}
		if err == nil && pod.DeletionTimestamp == nil {
			err = r.deletePod(ctx, pod.Namespace, pod.Name, metav1.Preconditions{UID: &pod.UID, ResourceVersion: &pod.ResourceVersion})
		}
		if err != nil && definite(err) && !apierrors.IsConflict(err) && !apierrors.IsNotFound(err) {
			r.Log.Error().Err(err).Str("pod", name.String()).Msg("a pod that was created first will be deleted by a later sweep")
			return nil
		}
		if apierrors.IsNotFound(err) {
			return nil
		}
		return err
	})
	return adopted
}

// dismiss discards a successor, and takes back what the pod before it was told.
func (r *Readmitter) dismiss(ctx context.Context, s replacement.Succession, name types.NamespacedName) {
	if !r.discard(ctx, name) {
		r.relieve(ctx, s, name.Namespace)
	}
}

// relieve takes back that the pod which waits goes first.
func (r *Readmitter) relieve(ctx context.Context, s replacement.Succession, namespace string) {
	r.untilDone(ctx, "take back that a pod goes first", func(ctx context.Context) error {
		old, err := r.Client.CoreV1().Pods(namespace).Get(ctx, s.OldName, metav1.GetOptions{})
		if err == nil && old.UID == s.OldUID && old.Annotations[corev1.PodDeletionCost] == goesFirst {
			err = r.change(ctx, old, map[string]any{"annotations": map[string]any{corev1.PodDeletionCost: nil}})
		}
		if err != nil && definite(err) && !apierrors.IsConflict(err) {
			return nil
		}
		return err
	})
}

// sweepSuccessors finishes what an earlier term began: a pod that was created
// first and is bound is adopted, if the one before it still waits; any other is
// deleted, and nothing is lost.
func (r *Readmitter) sweepSuccessors(ctx context.Context) error {
	call, cancel := context.WithTimeout(ctx, callLimit)
	defer cancel()
	pods, err := r.Client.CoreV1().Pods(corev1.NamespaceAll).List(call, metav1.ListOptions{LabelSelector: accel.SuccessorLabel})
	if err != nil {
		return fmt.Errorf("list the pods that were created first: %w", err)
	}
	for i := range pods.Items {
		pod := &pods.Items[i]
		name := types.NamespacedName{Namespace: pod.Namespace, Name: pod.Name}
		s, ours := replacement.SuccessionOf(pod.Annotations, r.Key, pod.Namespace, pod.Name)
		if !ours || !r.successor(pod) || pod.DeletionTimestamp != nil || r.isFollowed(name) {
			continue
		}
		if pod.Spec.NodeName != "" {
			if err = r.adopt(ctx, s, name); err == nil {
				r.Log.Info().Str("pod", name.String()).Str("in the place of", s.OldName).Msg("a pod that was created first is adopted")
				continue
			}
		}
		if ctx.Err() == nil {
			r.Log.Info().Err(err).Str("pod", name.String()).Msg("a pod that was created first is deleted")
			r.dismiss(ctx, s, name)
		}
	}
	return nil
}

func (r *Readmitter) isFollowed(name types.NamespacedName) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.followed[name] != nil
}
