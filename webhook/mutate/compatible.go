package mutate

import (
	"fmt"
	"maps"
	"path"
	"slices"

	corev1 "k8s.io/api/core/v1"

	"heteroaccel.io/pkg/profile"
)

// Compatible returns nil if variant v can be applied to target t of pod without
// contradicting what the user wrote: a node selector, a volume or a mount of the
// same key with another value. The error is a sentence for the person who wrote
// the pod, and about this variant alone.
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
			return nil, nil, fmt.Errorf("the pod already has a volume %q that differs from the one of the %s variant: rename yours",
				vol.Name, v.Kind)
		}
	}
	return missing, names, nil
}

// newSelectors returns the node selector entries of v that pod lacks; nil when
// there are none.
func newSelectors(pod *Pod, v *profile.Variant) (map[string]string, error) {
	var missing map[string]string
	selector := v.Spec.Selector()
	for _, key := range slices.Sorted(maps.Keys(selector)) {
		want := selector[key]
		have, ok := pod.Spec.NodeSelector[key]
		if ok && have != want {
			return nil, fmt.Errorf("spec.nodeSelector asks for %s=%s, but the %s variant runs on nodes with %s=%s: remove it, or allow other kinds",
				key, have, v.Kind, key, want)
		}
		if !ok {
			if missing == nil {
				missing = make(map[string]string, len(selector))
			}
			missing[key] = want
		}
	}
	return missing, nil
}
