package mutate

import (
	"fmt"
	"maps"
	"path"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"

	"heteroaccel.io/pkg/accel"
	"heteroaccel.io/pkg/profile"
)

// Compatible reports whether variant v can be given to target t of pod without
// contradicting what the user wrote: a node selector, a volume or a mount of
// the same key that says something else. The error is a sentence for the
// person who wrote the pod, which holds for this variant alone.
func Compatible(pod *Pod, t Target, v *profile.Variant) error {
	c := t.container(pod)
	if c == nil {
		return errNoContainer(t)
	}
	if _, _, err := newMounts(c, v); err != nil {
		return err
	}
	if _, _, err := newVolumes(pod, v); err != nil {
		return err
	}
	_, err := newSelectors(pod, v)
	return err
}

func errNoContainer(t Target) error {
	return fmt.Errorf("the pod has no container at index %d (init %t)", t.Index, t.Init)
}

// newMounts returns the mounts of v that c lacks, and their paths.
func newMounts(c *corev1.Container, v *profile.Variant) (missing []corev1.VolumeMount, paths []string, err error) {
	for _, m := range v.Spec.VolumeMounts {
		i := slices.IndexFunc(c.VolumeMounts, func(have corev1.VolumeMount) bool {
			return have.MountPath == m.MountPath || path.Clean(have.MountPath) == path.Clean(m.MountPath)
		})
		if i < 0 {
			missing, paths = append(missing, m), append(paths, m.MountPath)
			continue
		}
		same := m
		same.MountPath = c.VolumeMounts[i].MountPath
		if !equal(c.VolumeMounts[i], same) {
			return nil, nil, fmt.Errorf("container %q already mounts volume %q at %s, where the %s variant mounts its %q: mount yours elsewhere",
				c.Name, c.VolumeMounts[i].Name, m.MountPath, v.Kind, m.Name)
		}
	}
	return missing, paths, nil
}

// newVolumes returns the volumes of v that pod lacks, and their names.
func newVolumes(pod *Pod, v *profile.Variant) (missing []corev1.Volume, names []string, err error) {
	for _, vol := range v.Spec.Volumes {
		vol = defaultedVolume(vol)
		i := slices.IndexFunc(pod.Spec.Volumes, func(have corev1.Volume) bool { return have.Name == vol.Name })
		if i < 0 {
			missing, names = append(missing, vol), append(names, vol.Name)
			continue
		}
		if !equal(defaultedVolume(pod.Spec.Volumes[i]), vol) {
			return nil, nil, fmt.Errorf("the pod already has a volume %q, other than that of the %s variant: give yours another name",
				vol.Name, v.Kind)
		}
	}
	return missing, names, nil
}

// newSelectors returns the node selector entries of v that pod lacks; nil when
// there are none.
func newSelectors(pod *Pod, v *profile.Variant) (map[string]string, error) {
	var missing map[string]string
	for _, key := range slices.Sorted(maps.Keys(v.Spec.NodeSelector)) {
		want := v.Spec.NodeSelector[key]
		have, ok := pod.Spec.NodeSelector[key]
		if ok && have != want {
			return nil, fmt.Errorf("spec.nodeSelector asks for %s=%s, but the %s variant runs on nodes with %s=%s: remove it, or allow other kinds",
				key, have, v.Kind, key, want)
		}
		if !ok {
			if missing == nil {
				missing = make(map[string]string, len(v.Spec.NodeSelector))
			}
			missing[key] = want
		}
	}
	return missing, nil
}

// setEnv sets the device's variable and v's own in c, each in place where one
// of its name stands, else at the end. It returns what it replaced, in the
// container's order, and the names of what it added.
func setEnv(c *corev1.Container, v *profile.Variant) (replaced []corev1.EnvVar, added []string) {
	before := c.Env
	env := slices.Clip(before)
	owned := false
	set := func(e corev1.EnvVar) {
		found := false
		for i := range env {
			if env[i].Name != e.Name {
				continue
			}
			found = true
			if sameEnv(env[i], e) {
				continue
			}
			if !owned {
				env, owned = slices.Clone(env), true
			}
			env[i] = e
		}
		if !found {
			env, owned = append(env, e), true
			added = append(added, e.Name)
		}
	}
	set(corev1.EnvVar{Name: accel.DeviceEnv, Value: v.Device}) // first: v's may refer to it
	for _, e := range v.Spec.Env {
		if e.Name != accel.DeviceEnv {
			set(defaultedEnv(e))
		}
	}
	// Of a name that stands several times all are noted, so that each can be
	// put back in its place.
	var changed []string
	for i := range before {
		if !sameEnv(before[i], env[i]) {
			changed = append(changed, before[i].Name)
		}
	}
	for i := range before {
		if slices.Contains(changed, before[i].Name) {
			replaced = append(replaced, before[i])
		}
	}
	c.Env = env
	return replaced, added
}

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

// equal compares two API values; pointers by what they point at.
func equal[T any](a, b T) bool { return equality.Semantic.DeepEqual(a, b) }

// same is equal, without reflection for values that share what they point at:
// nearly all that a mutation leaves alone.
func same[T comparable](a, b T) bool { return a == b || equal(a, b) }

// sameEnv is same, without reflection for variables that are plain text too.
func sameEnv(a, b corev1.EnvVar) bool {
	return a == b || (a.ValueFrom != nil || b.ValueFrom != nil) && equal(a, b)
}

// sameMount is same for mounts, which cannot be compared with ==.
func sameMount(a, b corev1.VolumeMount) bool {
	shared := a.Name == b.Name && a.ReadOnly == b.ReadOnly && a.RecursiveReadOnly == b.RecursiveReadOnly &&
		a.MountPath == b.MountPath && a.SubPath == b.SubPath && a.MountPropagation == b.MountPropagation &&
		a.SubPathExpr == b.SubPathExpr && a.BindMountOptions == nil && b.BindMountOptions == nil
	return shared || equal(a, b)
}
