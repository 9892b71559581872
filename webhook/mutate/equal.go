package mutate

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
)

// equal compares two API values; pointers by what they point at.
func equal[T any](a, b T) bool { return equality.Semantic.DeepEqual(a, b) }

// same is equal, without reflection for values that share what they point at, as
// nearly all do that a mutation does not change.
func same[T comparable](a, b T) bool { return a == b || equal(a, b) }

// sameMount is same for mounts, which cannot be compared with ==.
func sameMount(a, b corev1.VolumeMount) bool {
	shared := a.Name == b.Name && a.ReadOnly == b.ReadOnly && a.RecursiveReadOnly == b.RecursiveReadOnly &&
		a.MountPath == b.MountPath && a.SubPath == b.SubPath && a.MountPropagation == b.MountPropagation &&
		a.SubPathExpr == b.SubPathExpr && a.BindMountOptions == nil && b.BindMountOptions == nil
	return shared || equal(a, b)
}
