package mutate

import (
	"slices"

	corev1 "k8s.io/api/core/v1"

	"heteroaccel.io/pkg/profile"
)

// addGroups adds v's supplemental groups to pod, each once, and returns those
// it added. created reports that the pod had no security context.
func addGroups(pod *Pod, v *profile.Variant) (added []int64, created bool) {
	var have []int64
	if sc := pod.Spec.SecurityContext; sc != nil {
		have = sc.SupplementalGroups
	}
	for _, g := range v.Spec.SupplementalGroups {
		if !slices.Contains(have, g) && !slices.Contains(added, g) {
			added = append(added, g)
		}
	}
	if len(added) == 0 {
		return nil, false
	}
	sc := corev1.PodSecurityContext{}
	if pod.Spec.SecurityContext != nil {
		sc = *pod.Spec.SecurityContext
	} else {
		created = true
	}
	sc.SupplementalGroups = append(slices.Clip(have), added...)
	pod.Spec.SecurityContext = &sc
	return added, created
}

// addTolerations adds v's tolerations to pod, each once, and returns those it
// added.
func addTolerations(pod *Pod, v *profile.Variant) (added []corev1.Toleration) {
	for _, t := range v.Spec.Tolerations {
		same := func(have corev1.Toleration) bool { return equal(have, t) }
		if !slices.ContainsFunc(pod.Spec.Tolerations, same) && !slices.ContainsFunc(added, same) {
			added = append(added, t)
		}
	}
	if len(added) > 0 {
		pod.Spec.Tolerations = append(slices.Clip(pod.Spec.Tolerations), added...)
	}
	return added
}
