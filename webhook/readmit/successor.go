package readmit

import (
	"crypto/hmac"
	"maps"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/rand"

	"heteroaccel.io/pkg/accel"
	sealed "heteroaccel.io/pkg/record"
)

// successorPurpose is what the code of a succession is for.
const successorPurpose = "heteroaccel.io/successor.v1"

// succession says in whose place a pod comes that was created first. It is all
// that is needed to finish what was begun, and stands on the pod itself.
type succession struct {
	setName string // the ReplicaSet that is to adopt it
	set     types.UID
	hash    string // the label by which that selects its pods
	name    string // the pod that still waits
	uid     types.UID
}

// seal is the annotation for the pod of a name. It holds for no other pod: a
// copy has nobody's pod deleted or adopted.
func (s succession) seal(key []byte, namespace, name string) string {
	return strings.Join([]string{s.setName, string(s.set), s.hash, s.name, string(s.uid), s.code(key, namespace, name)}, "/")
}

func (s succession) code(key []byte, namespace, name string) string {
	return sealed.Code(key, successorPurpose, namespace, name, s.setName, string(s.set), s.hash, s.name, string(s.uid))
}

// successionOf reads a pod's annotation; ok is false when it has none that we
// wrote for it.
func successionOf(annotations map[string]string, key []byte, namespace, name string) (s succession, ok bool) {
	parts := strings.Split(annotations[accel.SuccessorAnnotation], "/")
	if len(parts) != 6 {
		return succession{}, false
	}
	s = succession{parts[0], types.UID(parts[1]), parts[2], parts[3], types.UID(parts[4])}
	if !hmac.Equal([]byte(parts[5]), []byte(s.code(key, namespace, name))) {
		return succession{}, false
	}
	return s, true
}

// Succeeds is the UID of the ReplicaSet that a pod without a controller will
// belong to, if it is one that this package creates before another is gone.
func Succeeds(annotations map[string]string, key []byte, namespace, name string) (set types.UID, ok bool) {
	s, ok := successionOf(annotations, key, namespace, name)
	return s.set, ok
}

// successor is the pod that c would create in the place of old, less what has c
// adopt it. Its name is ours to choose, of the same form as c's: by its name
// admission finds its ticket.
func (c *controller) successor(w *waiter, old *corev1.Pod, key []byte) *corev1.Pod {
	const suffix, longest = 5, 63 // as the API server makes names of GenerateName
	pod := c.replacement(old)
	base := pod.GenerateName
	pod.Name = base[:min(len(base), longest-suffix)] + rand.String(suffix)
	pod.OwnerReferences = nil
	pod.Labels = maps.Clone(old.Labels)
	delete(pod.Labels, appsv1.DefaultDeploymentUniqueLabelKey)
	pod.Labels[accel.SuccessorLabel] = "true"
	s := succession{w.controller.Name, w.controller.UID, w.hash, old.Name, old.UID}
	pod.Annotations[accel.SuccessorAnnotation] = s.seal(key, pod.Namespace, pod.Name)
	return pod
}

// adoption is the change that makes a pod one of the ReplicaSet's. It names the
// owner itself, so that a pod whose ReplicaSet is gone by then is collected.
func (s succession) adoption() map[string]any {
	return map[string]any{
		"labels":      map[string]any{appsv1.DefaultDeploymentUniqueLabelKey: s.hash, accel.SuccessorLabel: nil},
		"annotations": map[string]any{accel.SuccessorAnnotation: nil},
		"ownerReferences": []metav1.OwnerReference{{
			APIVersion: appsv1.SchemeGroupVersion.String(), Kind: "ReplicaSet", Name: s.setName, UID: s.set, Controller: new(true),
		}},
	}
}
