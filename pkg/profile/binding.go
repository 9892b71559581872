package profile

import (
	"fmt"
	"maps"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"

	"heteroaccel.io/pkg/accel"
	"heteroaccel.io/pkg/profile/v1alpha1"
)

// Binding says when the accelerator of a pod is settled.
type Binding string

const (
	// Early is as the pod is created: it has the device's extended resource, and
	// another kind takes another pod.
	Early Binding = "early"
	// Late is as kube-scheduler allocates the device of its ResourceClaim: until then
	// the claim, the image and the amounts are replaced, and the pod stays.
	Late Binding = "late"
	// Auto is Late for a profile whose kinds all have devices to claim, else Early.
	Auto Binding = "auto"
)

// ParseBinding reads the value of a flag. The error says what it may be.
func ParseBinding(s string) (Binding, error) {
	b := Binding(s)
	if b != Early && b != Late && b != Auto {
		return "", fmt.Errorf("%q is none: give early, late or auto", s)
	}
	return b, nil
}

// lateVariants are the variants as a pod gets them that is bound late. What may differ
// among them is what can be changed on a pod that waits: the image, cpu and memory, and
// the DeviceClass, with the device's name in a variable. All else is that of every
// variant together. The error is a sentence for the profile's author: why these
// variants cannot share a pod.
func lateVariants(variants []Variant) ([]Variant, error) {
	var all v1alpha1.Variant
	for i := range variants {
		v := variants[i].Spec
		switch {
		case v.DeviceClassName == "":
			return nil, fmt.Errorf("the %s variant names no deviceClassName: give each variant one, the CPU's too", variants[i].Kind)
		case i > 0 && !slices.Equal(v.Args, variants[0].Spec.Args):
			return nil, differ(variants, i, "args", "the arguments of a pod cannot be changed")
		case i > 0 && !maps.Equal(v.NodeSelector, variants[0].Spec.NodeSelector):
			return nil, differ(variants, i, "nodeSelector", "where a pod may run cannot be changed")
		}
		if name, ok := unite(&all.Env, v.Env, func(a, b corev1.EnvVar) bool { return a.Name == b.Name }); !ok {
			return nil, differ(variants, i, "env "+name.Name, "the variables of a pod cannot be changed")
		}
		if name, ok := unite(&all.Volumes, v.Volumes, func(a, b corev1.Volume) bool { return a.Name == b.Name }); !ok {
			return nil, differ(variants, i, "volume "+name.Name, "the volumes of a pod cannot be changed")
		}
		if name, ok := unite(&all.VolumeMounts, v.VolumeMounts, func(a, b corev1.VolumeMount) bool { return a.MountPath == b.MountPath }); !ok {
			return nil, differ(variants, i, "volume mount "+name.MountPath, "the mounts of a pod cannot be changed")
		}
		unite(&all.SupplementalGroups, v.SupplementalGroups, func(a, b int64) bool { return a == b })
		unite(&all.Tolerations, v.Tolerations, func(a, b corev1.Toleration) bool { return equality.Semantic.DeepEqual(a, b) })
	}
	late := make([]Variant, len(variants))
	for i := range variants {
		v, spec := variants[i], *variants[i].Spec
		spec.Env, spec.Volumes, spec.VolumeMounts = all.Env, all.Volumes, all.VolumeMounts
		spec.SupplementalGroups, spec.Tolerations = all.SupplementalGroups, all.Tolerations
		spec.Limits = lateLimits(variants, i)
		v.Spec, v.Class, v.Devices = &spec, spec.DeviceClassName, nil
		late[i] = v
	}
	return late, nil
}

// lateLimits are the amounts of variant i of a pod that is bound late. Those of cpu are
// exact, and those of memory where each variant has one; any other is the largest, as
// what a pod waits for cannot have an amount added or removed, and of the rest none
// changed (ValidatePodResize in Kubernetes' pkg/apis/core/validation).
func lateLimits(variants []Variant, i int) map[corev1.ResourceName]v1alpha1.Amount {
	limits := map[corev1.ResourceName]v1alpha1.Amount{}
	for name, amount := range variants[i].Spec.Limits {
		if name == corev1.ResourceCPU {
			limits[name] = amount
		}
	}
	for j := range variants {
		for name, amount := range variants[j].Spec.Limits {
			if largest, ok := limits[name]; name != corev1.ResourceCPU && !accel.IsDeviceResource(name) && (!ok || largest.Cmp(amount) < 0) {
				limits[name] = amount
			}
		}
	}
	if exact, ok := variants[i].Spec.Limits[corev1.ResourceMemory]; ok && !slices.ContainsFunc(variants, func(v Variant) bool {
		_, has := v.Spec.Limits[corev1.ResourceMemory]
		return !has
	}) {
		limits[corev1.ResourceMemory] = exact
	}
	return limits
}

// unite adds to list the items of more that it lacks. ok is false where an item is
// there that is the same by its key and differs all the same.
func unite[T any](list *[]T, more []T, same func(a, b T) bool) (item T, ok bool) {
	for _, m := range more {
		i := slices.IndexFunc(*list, func(have T) bool { return same(have, m) })
		if i < 0 {
			*list = append(*list, m)
		} else if !equality.Semantic.DeepEqual((*list)[i], m) {
			return m, false
		}
	}
	return item, true
}

func differ(variants []Variant, i int, what, why string) error {
	return fmt.Errorf("%s differs between the %s variant and one before it, and %s: make it the same, or leave binding to early", what, variants[i].Kind, why)
}
