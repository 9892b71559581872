package recreate

import (
	"crypto/sha256"
	"maps"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/rand"

	"heteroaccel.io/pkg/accel"
	"heteroaccel.io/pkg/record"
	"heteroaccel.io/webhook/replacement"
)

// successor is the pod that c would create in the place of old, without what
// lets c adopt it, and as what it is to be adopted. We choose its name, of the same form as c's: by its name
// admission finds what is expected. It follows from the old pod, so that of two
// replicas that both take themselves for the leader one alone can create it.
func (c *controller) successor(s replacement.Succession, old *corev1.Pod, keys *record.Keys) *corev1.Pod {
	const suffix, maxLength = 5, 63 // as the API server completes generateName
	pod := c.replacement(old)
	base := pod.GenerateName
	sum := sha256.Sum256([]byte(old.UID))
	letters := sum[:suffix]
	for i := range letters {
		letters[i] &= 0x7f // a character each
	}
	pod.Name = base[:min(len(base), maxLength-suffix)] + rand.SafeEncodeString(string(letters))
	pod.OwnerReferences = nil
	pod.Labels = maps.Clone(old.Labels)
	delete(pod.Labels, appsv1.DefaultDeploymentUniqueLabelKey)
	pod.Labels[accel.SuccessorLabel] = "true"
	pod.Annotations[accel.SuccessorAnnotation] = s.Seal(keys, pod.Namespace, pod.Name)
	return pod
}

// adoption is the change that makes a pod one of the ReplicaSet's. It names the
// owner itself, so that a pod whose ReplicaSet is gone by then is collected.
func adoption(s replacement.Succession) map[string]any {
	return map[string]any{
		"labels":      map[string]any{appsv1.DefaultDeploymentUniqueLabelKey: s.Hash, accel.SuccessorLabel: nil},
		"annotations": map[string]any{accel.SuccessorAnnotation: nil},
		"ownerReferences": []metav1.OwnerReference{{
			APIVersion: appsv1.SchemeGroupVersion.String(), Kind: "ReplicaSet", Name: s.SetName, UID: s.SetUID, Controller: new(true),
		}},
	}
}
