package mutate

import (
	"slices"

	corev1 "k8s.io/api/core/v1"

	"heteroaccel.io/pkg/accel"
	"heteroaccel.io/pkg/profile"
)

// setEnv sets HETEROACCEL_DEVICE and v's variables in c, each in place of one with
// its name, else at the end. It returns the variables that it replaced, in the
// container's order, and the names of those that it added.
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
	set(deviceEnv(v)) // first: v's may refer to it
	for _, e := range v.Spec.Env {
		if e.Name != accel.DeviceEnv {
			set(defaultedEnv(e))
		}
	}
	// All variables of a repeated name are recorded, so that each can be restored
	// in its place.
	changed := map[string]bool{}
	for i := range before {
		if !sameEnv(before[i], env[i]) {
			changed[before[i].Name] = true
		}
	}
	for i := range before {
		if changed[before[i].Name] {
			replaced = append(replaced, before[i])
		}
	}
	c.Env = env
	return replaced, added
}

// deviceEnv is HETEROACCEL_DEVICE, which in a pod that is bound late follows its
// annotation until a container starts.
func deviceEnv(v *profile.Variant) corev1.EnvVar {
	if v.Class == "" {
		return corev1.EnvVar{Name: accel.DeviceEnv, Value: v.Device}
	}
	return defaultedEnv(corev1.EnvVar{Name: accel.DeviceEnv, ValueFrom: &corev1.EnvVarSource{
		FieldRef: &corev1.ObjectFieldSelector{FieldPath: accel.DeviceFieldPath},
	}})
}

// defaultedEnv is a variable as the API server completes it: see defaults.go.
func defaultedEnv(e corev1.EnvVar) corev1.EnvVar {
	if e.ValueFrom == nil || e.ValueFrom.FieldRef == nil || e.ValueFrom.FieldRef.APIVersion != "" {
		return e
	}
	from, ref := *e.ValueFrom, *e.ValueFrom.FieldRef
	ref.APIVersion = "v1"
	from.FieldRef = &ref
	e.ValueFrom = &from
	return e
}

// sameEnv is same, without reflection for variables that are plain text too.
func sameEnv(a, b corev1.EnvVar) bool {
	return a == b || (a.ValueFrom != nil || b.ValueFrom != nil) && equal(a, b)
}
