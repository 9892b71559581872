package recreate

import (
	"context"
	"crypto/hmac"
	"encoding/hex"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"heteroaccel.io/pkg/accel"
	"heteroaccel.io/pkg/record"
	"heteroaccel.io/webhook/readmit/pending"
)

// release releases a pod from its Job and deletes it. A Job counts a pod of its
// own that is deleted as failed; one that is no longer its own it replaces
// within a second, whatever its backoffLimit. A crash in between leaves a pod
// with our label, which the sweep deletes.
func (r *Recreator) release(ctx context.Context, p *pending.Pod, to accel.Kind) error {
	pod, err := r.current(ctx, p)
	if err != nil {
		return err
	}
	if err := r.dryRun(ctx, subjectOf(p), pod, to); err != nil {
		return err
	}
	if err := r.Pods.PatchMetadata(ctx, pod, releasePatch(pod, r.Keys())); err != nil {
		return fmt.Errorf("release the pod from its Job: %w", err)
	}
	r.Pods.Log.Info().Str("pod", p.Key().String()).Str("job", p.Controller.Name).Msg("pod released from its Job")
	// From here on the pod has no owner, bound in between or not.
	err = r.Pods.Delete(ctx, p.Key(), metav1.Preconditions{UID: &pod.UID})
	if err == nil || apierrors.IsNotFound(err) {
		return nil
	}
	r.Pods.Log.Warn().Err(err).Str("pod", p.Key().String()).Msg("released pod not deleted: the next sweep deletes it")
	return nil
}

// releasePatch is the merge patch of the metadata that releases a pod from its
// Job.
func releasePatch(pod *corev1.Pod, keys *record.Keys) map[string]any {
	labels := map[string]any{accel.ReleasedLabel: releaseMarks(pod, keys)[0]}
	for _, name := range pending.JobLabels {
		labels[name] = nil
	}
	owners := slices.DeleteFunc(slices.Clone(pod.OwnerReferences), func(o metav1.OwnerReference) bool { return o.Controller != nil && *o.Controller })
	finalizers := slices.DeleteFunc(slices.Clone(pod.Finalizers), func(f string) bool { return f == pending.JobFinalizer })
	return map[string]any{"labels": labels, "ownerReferences": owners, "finalizers": finalizers}
}

// releasePurpose is what the code of a release is for.
const releasePurpose = "heteroaccel.io/released.v2"

// releaseMarks are the values of the label that marks one pod as released by us, with
// each key, that of the key that seals first. A copy on another pod, or a forged one,
// is none of them: nobody can make us delete a pod.
func releaseMarks(pod *corev1.Pod, keys *record.Keys) []string {
	marks := keys.Codes(releasePurpose, pod.Namespace, string(pod.UID))
	for i, code := range marks {
		marks[i] = "r" + code + "r" // a label begins and ends with a letter or a digit
	}
	return marks
}

// formerRelease is how pods were marked before keys had ids.
const formerRelease = "heteroaccel.io/released.v1\x00%s\x00%s"

// released reports whether we released a pod.
func released(pod *corev1.Pod, keys *record.Keys) bool {
	label := []byte(pod.Labels[accel.ReleasedLabel])
	marks := releaseMarks(pod, keys)
	for _, sum := range keys.Sums(fmt.Sprintf(formerRelease, pod.Namespace, pod.UID)) {
		marks = append(marks, hex.EncodeToString(sum[:16]))
	}
	return slices.ContainsFunc(marks, func(mark string) bool { return hmac.Equal(label, []byte(mark)) })
}
