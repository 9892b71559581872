package recreate

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"heteroaccel.io/webhook/readmit/pending"
	"heteroaccel.io/webhook/readmit/podapi"
	"heteroaccel.io/webhook/replacement"
)

// deletedFirst is the lowest pod-deletion-cost: of two pods without a node the
// ReplicaSet deletes the one that has it.
const deletedFirst = "-2147483648"

// adopt makes a successor one of its ReplicaSet's pods, if the pod before it is
// still pending, or where it serves still does and the successor is Ready;
// podapi.ErrChanged if not. It can be repeated.
func (r *Recreator) adopt(ctx context.Context, s replacement.Succession, name types.NamespacedName) (err error) {
	r.Pods.UntilDone(ctx, "let a ReplicaSet adopt a pod", func(ctx context.Context) error {
		const tries = 5
		for range tries {
			if err = r.tryToAdopt(ctx, s, name); !apierrors.IsConflict(err) {
				break // else it only changed, by its kubelet for instance
			}
		}
		if err != nil && !podapi.Definite(err) && !errors.Is(err, podapi.ErrChanged) {
			return err
		}
		return nil
	})
	return podapi.Changed(err)
}

func (r *Recreator) tryToAdopt(ctx context.Context, s replacement.Succession, name types.NamespacedName) error {
	next, err := r.Pods.Get(ctx, name)
	if err != nil {
		return fmt.Errorf("the next one: %w", err)
	}
	if c := metav1.GetControllerOfNoCopy(next); c != nil && c.UID == s.SetUID {
		return nil
	}
	if !r.isOrphan(next) || next.DeletionTimestamp != nil || next.Spec.NodeName == "" {
		return fmt.Errorf("%w: the next one is not what it was created as", podapi.ErrChanged)
	}
	old, err := r.Pods.Get(ctx, oldOf(s, name.Namespace))
	if err != nil {
		return err
	}
	now, isPending := pending.Of(old, r.Keys())
	switch {
	case s.Serving && !isReady(next):
		return fmt.Errorf("%w: the next one is not Ready", podapi.ErrChanged)
	case s.Serving && !serves(old, s.OldUID):
		return fmt.Errorf("%w: it does not serve any more", podapi.ErrChanged)
	case !s.Serving && (!isPending || now.UID != s.OldUID):
		return fmt.Errorf("%w: it is not pending any more", podapi.ErrChanged)
	}
	if old.Annotations[corev1.PodDeletionCost] != deletedFirst {
		if err := r.Pods.PatchMetadata(ctx, old, map[string]any{"annotations": map[string]any{corev1.PodDeletionCost: deletedFirst}}); err != nil {
			return fmt.Errorf("set the deletion cost of the pod: %w", err)
		}
	}
	if err := r.Pods.PatchMetadata(ctx, next, adoption(s)); err != nil {
		return fmt.Errorf("let the ReplicaSet adopt the next pod: %w", err)
	}
	return nil
}

// serves reports whether a pod is the one of that UID, and runs.
func serves(pod *corev1.Pod, uid types.UID) bool {
	return pod.UID == uid && pod.DeletionTimestamp == nil && pod.Status.Phase == corev1.PodRunning
}

func isReady(pod *corev1.Pod) bool { return isAvailable(pod, 0, time.Time{}) }

// isAvailable reports whether a pod has been Ready for minReady.
func isAvailable(pod *corev1.Pod, minReady time.Duration, now time.Time) bool {
	return slices.ContainsFunc(pod.Status.Conditions, func(c corev1.PodCondition) bool {
		return c.Type == corev1.PodReady && c.Status == corev1.ConditionTrue && (minReady <= 0 || now.Sub(c.LastTransitionTime.Time) >= minReady)
	})
}

// isOrphan reports whether a pod was created first and is not adopted yet.
func (r *Recreator) isOrphan(pod *corev1.Pod) bool {
	_, ours := replacement.SuccessionOf(pod.Annotations, r.Keys(), pod.Namespace, pod.Name)
	return ours && metav1.GetControllerOfNoCopy(pod) == nil
}

// discard deletes a successor, if there is one; adopted says that its ReplicaSet
// has it by now, and it stays.
func (r *Recreator) discard(ctx context.Context, name types.NamespacedName) (adopted bool) {
	r.Pods.UntilDone(ctx, "delete a pod that was created first", func(ctx context.Context) error {
		pod, err := r.Pods.Get(ctx, name)
		if err == nil && !r.isOrphan(pod) {
			adopted = true
			return nil
		}
		if err == nil && pod.DeletionTimestamp == nil {
			err = r.Pods.Delete(ctx, name, metav1.Preconditions{UID: &pod.UID, ResourceVersion: &pod.ResourceVersion})
		}
		if err != nil && podapi.Definite(err) && !apierrors.IsConflict(err) && !apierrors.IsNotFound(err) {
			r.Pods.Log.Error().Err(err).Str("pod", name.String()).Msg("delete a pod that was created first: refused, a later sweep tries again")
			return nil
		}
		if apierrors.IsNotFound(err) {
			return nil
		}
		return err
	})
	return adopted
}

// discardAndRestore discards a successor, and the deletion cost of the pod before
// it.
func (r *Recreator) discardAndRestore(ctx context.Context, s replacement.Succession, name types.NamespacedName) {
	if !r.discard(ctx, name) {
		r.restoreCost(ctx, s, name.Namespace)
	}
}

// restoreCost removes the deletion cost of the pod before a successor.
func (r *Recreator) restoreCost(ctx context.Context, s replacement.Succession, namespace string) {
	r.Pods.UntilDone(ctx, "remove the deletion cost of a pod", func(ctx context.Context) error {
		old, err := r.Pods.Get(ctx, oldOf(s, namespace))
		if err == nil && old.UID == s.OldUID && old.Annotations[corev1.PodDeletionCost] == deletedFirst {
			err = r.Pods.PatchMetadata(ctx, old, map[string]any{"annotations": map[string]any{corev1.PodDeletionCost: nil}})
		}
		if err != nil && podapi.Definite(err) && !apierrors.IsConflict(err) {
			return nil
		}
		return err
	})
}

func oldOf(s replacement.Succession, namespace string) types.NamespacedName {
	return types.NamespacedName{Namespace: namespace, Name: s.OldName}
}
