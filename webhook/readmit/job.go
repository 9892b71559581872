package readmit

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"heteroaccel.io/pkg/accel"
)

// release takes a pod from its Job and deletes it. A Job counts a pod of its
// own that is deleted as failed; one that is no longer its own it replaces
// within a second, whatever its backoffLimit. A crash in between leaves a pod
// with our mark, which the sweep deletes.
func (r *Readmitter) release(ctx context.Context, w *waiter, to accel.Kind) error {
	pod, err := r.current(ctx, w)
	if err != nil {
		return err
	}
	if err := r.ask(ctx, w, pod, to); err != nil {
		return err
	}
	patch, err := releasePatch(pod, r.Key)
	if err != nil {
		return err
	}
	if _, err := r.patchPod(ctx, pod, patch); err != nil {
		return fmt.Errorf("take the pod from its Job: %w", err)
	}
	// From here on the pod is nobody's, bound in between or not.
	err = r.deletePod(ctx, pod.Namespace, pod.Name, metav1.Preconditions{UID: &pod.UID})
	if err == nil || apierrors.IsNotFound(err) {
		return nil
	}
	r.Log.Warn().Err(err).Str("pod", w.key().String()).Msg("a pod that was taken from its Job will be deleted by the next sweep")
	return nil
}

func (r *Readmitter) patchPod(ctx context.Context, pod *corev1.Pod, patch []byte) (*corev1.Pod, error) {
	ctx, cancel := context.WithTimeout(ctx, callLimit)
	defer cancel()
	return r.Client.CoreV1().Pods(pod.Namespace).Patch(ctx, pod.Name, types.MergePatchType, patch, metav1.PatchOptions{})
}

// releasePatch is the merge patch that takes a pod from its Job. It fails on a
// pod that has changed since.
func releasePatch(pod *corev1.Pod, key []byte) ([]byte, error) {
	labels := map[string]any{accel.ReleasedLabel: releaseCode(pod, key)}
	for _, name := range jobLabels {
		labels[name] = nil
	}
	owners := slices.DeleteFunc(slices.Clone(pod.OwnerReferences), func(o metav1.OwnerReference) bool { return o.Controller != nil && *o.Controller })
	finalizers := slices.DeleteFunc(slices.Clone(pod.Finalizers), func(f string) bool { return f == jobFinalizer })
	patch, err := json.Marshal(map[string]any{"metadata": map[string]any{
		"uid": pod.UID, "resourceVersion": pod.ResourceVersion,
		"labels": labels, "ownerReferences": owners, "finalizers": finalizers,
	}})
	if err != nil {
		return nil, fmt.Errorf("encode the release of a pod: %w", err)
	}
	return patch, nil
}

// releaseCode marks one pod as released by us. A copy on another pod, or one
// that somebody made up, does not verify: so nobody has us delete a pod.
func releaseCode(pod *corev1.Pod, key []byte) string {
	h := hmac.New(sha256.New, key)
	fmt.Fprintf(h, "heteroaccel.io/released.v1\x00%s\x00%s", pod.Namespace, pod.UID)
	return hex.EncodeToString(h.Sum(nil)[:16])
}

// sweepOften deals at once, and slowly from then on, with the pods that were
// released and not deleted, or created first and never adopted.
func (r *Readmitter) sweepOften(ctx context.Context) {
	for {
		wait := sweep
		if err := errors.Join(r.sweep(ctx), r.sweepSuccessors(ctx)); err != nil {
			r.Log.Warn().Err(err).Msg("pods that were taken from their Job, or created first, could not all be dealt with yet")
			wait = pause
		}
		select {
		case <-ctx.Done():
			return
		case <-r.strayed:
		case <-time.After(wait):
		}
	}
}

func (r *Readmitter) sweep(ctx context.Context) error {
	list, cancel := context.WithTimeout(ctx, callLimit)
	defer cancel()
	pods, err := r.Client.CoreV1().Pods(corev1.NamespaceAll).List(list, metav1.ListOptions{LabelSelector: accel.ReleasedLabel})
	if err != nil {
		return fmt.Errorf("list the pods that were released: %w", err)
	}
	for i := range pods.Items {
		pod := &pods.Items[i]
		if !hmac.Equal([]byte(pod.Labels[accel.ReleasedLabel]), []byte(releaseCode(pod, r.Key))) || metav1.GetControllerOf(pod) != nil {
			continue
		}
		if err := r.deletePod(ctx, pod.Namespace, pod.Name, metav1.Preconditions{UID: &pod.UID}); err != nil && !apierrors.IsNotFound(err) {
			return err
		}
	}
	return nil
}
