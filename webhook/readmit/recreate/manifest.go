package recreate

import (
	"encoding/json"
	"fmt"
	"slices"

	"gopkg.in/evanphx/json-patch.v4"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"heteroaccel.io/pkg/accel"
	"heteroaccel.io/pkg/record"
	"heteroaccel.io/webhook/mutate"
	"heteroaccel.io/webhook/readmit/pending"
	"heteroaccel.io/webhook/readmit/podapi"
	"heteroaccel.io/webhook/replacement"
)

// manifest returns the JSON that a bare pod must be created from to be what its
// user created: the same name, labels, annotations and spec, without the mutation
// and without what the API server adds. raw is the pod, field for field.
//
// What is created is created with our rights, so it is not enough that the
// record verifies: whoever may write annotations could have copied it from
// another pod of the namespace. The caller has checked that no other live pod
// carries the record and that this pod never carried another while we looked;
// and mutating the restored pod again must give exactly the pod there is, record
// included, which the record of a pod with another command or other amounts
// does not. After a restart of ours a copied record can still change an image, or
// the text of a variable that the variant sets: whoever may patch a pod's
// annotations may patch its image anyway. A variable never reads a Secret or
// ConfigMap that no variable of the live pod reads.
func (r *Recreator) manifest(raw []byte, pod *corev1.Pod) ([]byte, error) {
	incoming := pending.AsMutated(pod)
	undone, verified := mutate.Undo(incoming, r.Keys(), pod.Namespace)
	req, ours, err := accel.ParseRequest(undone.Metadata.Annotations)
	if !verified || !ours || err != nil {
		return nil, podapi.ErrChanged
	}
	in, _, err := r.Options.OfBound(pod.Namespace, undone, req, false)
	if err != nil {
		return nil, podapi.Rejection{Reason: err.Error()}
	}
	a := pod.Annotations
	kind, err := accel.ParseKind(a[accel.SelectedAnnotation])
	if err != nil {
		return nil, podapi.ErrChanged
	}
	if in.Variant = in.Profile.Variant(kind); in.Variant == nil {
		return nil, podapi.Rejection{Reason: fmt.Sprintf("inference %s has no variant for %s any more", in.Profile.Name, kind)}
	}
	// The key of the record seals it again, whichever key seals by now.
	in.Keys, in.Namespace = r.Keys().As(a[accel.OriginalAnnotation], pod.Namespace, a[accel.ReservationAnnotation]), pod.Namespace
	given, _ := record.Of(a, pod.Namespace, r.Keys())
	in.Decision = mutate.Decision{
		Kind: kind, Reason: a[accel.ReasonAnnotation], Reservation: a[accel.ReservationAnnotation], Readmissions: replacement.Count(a),
		FirstAdmitted: given.FirstAdmitted, Displaced: given.Displaced,
	}
	again, err := mutate.Apply(undone, in)
	if err != nil || len(mutate.Diff(incoming, again, in.Target)) > 0 {
		return nil, podapi.Rejection{Reason: "the pod or its InferenceProfile was changed since, so what admission changed cannot be undone: delete the pod and create it anew"}
	}
	if name := unreadable(&incoming.Spec, &undone.Spec); name != "" {
		return nil, podapi.Rejection{Reason: fmt.Sprintf("variable %s was read from a Secret or ConfigMap, which is not restored with our rights: delete the pod and create it anew", name)}
	}
	restored, err := undo(raw, incoming, undone, in.Target)
	if err != nil {
		return nil, err
	}
	return strip(restored, unnamedContainer(undone, in))
}

// unnamedContainer is the container of the inference where only the record names
// it, "" where the pod does: somebody added a container since it was admitted,
// and the record does not outlive the pod.
func unnamedContainer(undone *mutate.Pod, in mutate.Input) string {
	alone := *undone
	alone.Recorded = ""
	if t, err := mutate.FindTarget(&alone, in.Request, in.Profile, in.Known); err == nil && t == in.Target {
		return ""
	}
	return undone.Recorded
}

// undo undoes the mutation in a pod's JSON.
func undo(raw []byte, incoming, undone *mutate.Pod, target mutate.Target) ([]byte, error) {
	ops, err := json.Marshal(mutate.Diff(incoming, undone, target))
	if err != nil {
		return nil, fmt.Errorf("encode the patch that undoes the mutation: %w", err)
	}
	patch, err := jsonpatch.DecodePatch(ops)
	if err != nil {
		return nil, fmt.Errorf("decode the patch that undoes the mutation: %w", err)
	}
	restored, err := patch.Apply(raw)
	if err != nil {
		return nil, fmt.Errorf("undo the mutation: %w", err)
	}
	var check corev1.Pod
	if err := json.Unmarshal(restored, &check); err != nil {
		return nil, fmt.Errorf("decode the pod: %w", err)
	}
	if !equality.Semantic.DeepEqual(check.Spec, undone.Spec) {
		return nil, podapi.Rejection{Reason: "what admission changed cannot be undone: delete the pod and create it anew"}
	}
	return restored, nil
}

// userMetadata are the fields of the metadata that a user may have written.
var userMetadata = []string{"name", "namespace", "generateName", "labels", "annotations", "ownerReferences"}

// strip leaves of a pod what a user may have written. The API server computes
// the priority from the class again. container is to be named in an annotation, if any.
func strip(raw []byte, container string) ([]byte, error) {
	var pod map[string]json.RawMessage
	if err := json.Unmarshal(raw, &pod); err != nil {
		return nil, fmt.Errorf("decode the pod: %w", err)
	}
	parts := map[string]map[string]json.RawMessage{}
	for _, name := range []string{"metadata", "spec"} {
		var part map[string]json.RawMessage
		if err := json.Unmarshal(pod[name], &part); err != nil {
			return nil, fmt.Errorf("decode the pod's %s: %w", name, err)
		}
		parts[name] = part
	}
	for name := range parts["metadata"] {
		if !slices.Contains(userMetadata, name) {
			delete(parts["metadata"], name)
		}
	}
	delete(parts["spec"], "priority")
	delete(parts["spec"], "preemptionPolicy")
	if err := annotate(parts["metadata"], container); err != nil {
		return nil, err
	}
	out, err := json.Marshal(map[string]any{
		"apiVersion": "v1", "kind": "Pod", "metadata": parts["metadata"], "spec": parts["spec"],
	})
	if err != nil {
		return nil, fmt.Errorf("encode the pod: %w", err)
	}
	return out, nil
}

// annotated returns a manifest with one more annotation.
func annotated(manifest []byte, name, value string) ([]byte, error) {
	patch, err := json.Marshal(map[string]any{"metadata": map[string]any{"annotations": map[string]string{name: value}}})
	if err != nil {
		return nil, fmt.Errorf("encode an annotation: %w", err)
	}
	out, err := jsonpatch.MergePatch(manifest, patch)
	if err != nil {
		return nil, fmt.Errorf("annotate the manifest of a pod: %w", err)
	}
	return out, nil
}

// annotate names the container, if any, and removes the annotation we may have
// requeued the pod with.
func annotate(metadata map[string]json.RawMessage, container string) error {
	var meta metav1.ObjectMeta
	if err := json.Unmarshal(metadata["annotations"], &meta.Annotations); err != nil {
		return fmt.Errorf("decode the pod's annotations: %w", err)
	}
	delete(meta.Annotations, accel.RetryAnnotation)
	if container != "" {
		meta.Annotations[accel.ContainerAnnotation] = container
	}
	out, err := json.Marshal(meta.Annotations)
	if err != nil {
		return fmt.Errorf("encode the pod's annotations: %w", err)
	}
	metadata["annotations"] = out
	return nil
}
