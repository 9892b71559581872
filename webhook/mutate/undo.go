package mutate

import (
	"maps"
	"slices"

	corev1 "k8s.io/api/core/v1"

	"heteroaccel.io/pkg/accel"
	sealed "heteroaccel.io/pkg/record"
)

// Undo returns pod as it was before Apply: what was replaced is restored where it
// is still what Apply wrote, what was added is removed, and what others changed
// or added since stays. Variables, mounts and volumes are matched by their name
// or path alone, as the API server fills in defaults within them. The annotations
// that Apply wrote are removed.
//
// Anyone who may write the pod may write its annotations. So the record is
// accepted only when it was sealed with one of keys for this namespace and for the
// reservation that the pod carries. Otherwise ok is false, and only our
// annotations are removed. pod is never changed.
func Undo(pod *Pod, keys *sealed.Keys, namespace string) (undone *Pod, ok bool) {
	a := pod.Metadata.Annotations
	ours := false
	for _, name := range annotations {
		if _, has := a[name]; has {
			ours = true
		}
	}
	if !ours {
		return pod, false
	}
	out := *pod
	out.Recorded, out.Noted, out.Warnings = "", "", nil
	out.Metadata.Annotations = withoutKeys(a, annotations[:]...)
	r, ok := unseal(a[accel.OriginalAnnotation], keys, namespace, a[accel.ReservationAnnotation])
	if !ok {
		return &out, false
	}
	out.Noted = r.Note
	if t, found := lookup(&out, r.Container); found {
		r.undoContainer(t.detach(&out))
		out.Recorded = r.Container
	}
	r.undoPod(&out)
	return &out, true
}

// undoContainer undoes the mutation of c, which is a copy.
func (r *record) undoContainer(c *corev1.Container) {
	if r.Image != nil && c.Image == r.Image.Now {
		c.Image = r.Image.Was
	}
	if r.Pull != nil && string(c.ImagePullPolicy) == r.Pull.Now {
		c.ImagePullPolicy = corev1.PullPolicy(r.Pull.Was)
	}
	if r.Command != nil {
		if words, ok := r.Command.Undo(c.Command); ok {
			c.Command = words
		}
	}
	if r.Args != nil {
		if words, ok := r.Args.Undo(c.Args); ok {
			c.Args = words
		}
	}
	if r.Claim != "" {
		c.Resources.Claims = withoutEach(c.Resources.Claims, []string{claimEntry}, func(have corev1.ResourceClaim, name string) bool { return have.Name == name })
	}
	c.Resources.Limits = r.Limits.undo(c.Resources.Limits)
	c.Resources.Requests = r.Requests.undo(c.Resources.Requests)
	c.VolumeMounts = withoutEach(c.VolumeMounts, r.Mounts, func(m corev1.VolumeMount, at string) bool { return m.MountPath == at })
	c.Env = withoutEach(c.Env, r.EnvAdded, func(e corev1.EnvVar, name string) bool { return e.Name == name })
	if len(r.Env) == 0 {
		return
	}
	c.Env = slices.Clone(c.Env)
	from := map[string]int{} // a name may be repeated: each is restored in turn
	for _, was := range r.Env {
		for i := from[was.Name]; i < len(c.Env); i++ {
			if c.Env[i].Name == was.Name {
				c.Env[i] = was
				from[was.Name] = i + 1
				break
			}
		}
	}
}

// undoPod removes what was added to pod, which is a copy, outside the container.
func (r *record) undoPod(pod *Pod) {
	if whole := pod.Spec.Resources; whole != nil && len(r.PodLimits)+len(r.PodRequests) > 0 {
		c := *whole
		c.Limits, c.Requests = r.PodLimits.undo(c.Limits), r.PodRequests.undo(c.Requests)
		pod.Spec.Resources = &c
	}
	if r.Scheduler != nil && pod.Spec.SchedulerName == r.Scheduler.Now {
		pod.Spec.SchedulerName = r.Scheduler.Was
	}
	if r.Claim != "" {
		pod.Spec.ResourceClaims = withoutEach(pod.Spec.ResourceClaims, []string{claimEntry}, func(have corev1.PodResourceClaim, name string) bool { return have.Name == name })
	}
	pod.Spec.Volumes = withoutEach(pod.Spec.Volumes, r.Volumes, func(v corev1.Volume, name string) bool { return v.Name == name })
	pod.Spec.Tolerations = withoutEach(pod.Spec.Tolerations, r.Tolerations, equal[corev1.Toleration])
	if len(r.NodeSelector) > 0 {
		var still []string
		for key, value := range r.NodeSelector {
			if pod.Spec.NodeSelector[key] == value {
				still = append(still, key)
			}
		}
		pod.Spec.NodeSelector = withoutKeys(pod.Spec.NodeSelector, still...)
	}
	if sc := pod.Spec.SecurityContext; sc != nil && len(r.Groups) > 0 {
		c := *sc
		c.SupplementalGroups = withoutEach(c.SupplementalGroups, r.Groups, equal[int64])
		pod.Spec.SecurityContext = &c
		if r.Context && equal(&c, &corev1.PodSecurityContext{}) {
			pod.Spec.SecurityContext = nil
		}
	}
}

// withoutEach returns list without the first item that matches each of keys;
// nil when nothing is left. list stays as it is.
func withoutEach[T, K any](list []T, keys []K, match func(T, K) bool) []T {
	if len(keys) == 0 {
		return list
	}
	list = slices.Clone(list)
	for _, key := range keys {
		if i := slices.IndexFunc(list, func(item T) bool { return match(item, key) }); i >= 0 {
			list = slices.Delete(list, i, i+1)
		}
	}
	if len(list) == 0 {
		return nil
	}
	return list
}

// withoutKeys returns m without keys; nil when nothing is left. m stays as it
// is.
func withoutKeys(m map[string]string, keys ...string) map[string]string {
	m = maps.Clone(m)
	for _, key := range keys {
		delete(m, key)
	}
	if len(m) == 0 {
		return nil
	}
	return m
}
