package recreate

import (
	"slices"

	corev1 "k8s.io/api/core/v1"
)

// source is the Secret or ConfigMap that a variable reads, and its key.
type source struct {
	secret    bool
	name, key string
}

// unreadable is a variable that reads a Secret or ConfigMap in the restored pod
// and none in the live one does, "" if there is none. Whoever may patch a pod's
// annotations, and so copy a record, could have it read what they may not.
func unreadable(live, restored *corev1.PodSpec) string {
	readable := map[source]bool{}
	for _, e := range variables(live) {
		if from, ok := sourceOf(e); ok {
			readable[from] = true
		}
	}
	for _, e := range variables(restored) {
		if from, ok := sourceOf(e); ok && !readable[from] {
			return e.Name
		}
	}
	return ""
}

func variables(spec *corev1.PodSpec) (out []corev1.EnvVar) {
	for _, c := range slices.Concat(spec.InitContainers, spec.Containers) {
		out = append(out, c.Env...)
	}
	return out
}

func sourceOf(e corev1.EnvVar) (source, bool) {
	switch {
	case e.ValueFrom == nil:
		return source{}, false
	case e.ValueFrom.SecretKeyRef != nil:
		return source{true, e.ValueFrom.SecretKeyRef.Name, e.ValueFrom.SecretKeyRef.Key}, true
	case e.ValueFrom.ConfigMapKeyRef != nil:
		return source{false, e.ValueFrom.ConfigMapKeyRef.Name, e.ValueFrom.ConfigMapKeyRef.Key}, true
	default:
		return source{}, false
	}
}
