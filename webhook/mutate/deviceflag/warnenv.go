package deviceflag

import (
	"strings"

	corev1 "k8s.io/api/core/v1"

	"heteroaccel.io/pkg/accel"
	"heteroaccel.io/pkg/profile"
	"heteroaccel.io/pkg/text"
)

// warnEnv warns of the variables of c, other than the variant's, that name
// another device or may do so.
func (l *CommandLine) warnEnv(w *Warnings, c *corev1.Container, v *profile.Variant) {
	s := &nameSearch{profile: l.profile, device: v.Device}
	for i := range c.Env {
		e := &c.Env[i]
		if setByVariant(v, e.Name) {
			continue
		}
		if e.ValueFrom != nil {
			if from := keyFrom(e.ValueFrom); from != "" && namesDevice(e.Name) {
				w.add("variable "+e.Name+" may name another device", "variable %s comes from %s and may name another device than %s: use $(HETEROACCEL_DEVICE)",
					e.Name, from, v.Device)
			}
			continue
		}
		other := s.others(e.Value, true) && s.others(e.Value, namesDevice(e.Name))
		if !other {
			s.found = nil
			s.scan(e.Value)
			other = len(s.found) > 0
		}
		if other {
			w.add("variable "+e.Name+" names another device", "variable %s is %s and names another device than %s: use $(HETEROACCEL_DEVICE)",
				e.Name, shown(e.Value), v.Device)
		}
	}
}

func setByVariant(v *profile.Variant, name string) bool {
	for _, e := range v.Spec.Env {
		if e.Name == name {
			return true
		}
	}
	return name == accel.DeviceEnv
}

// keyFrom says from which ConfigMap or Secret a variable's value comes, "" for
// none: what comes from the pod itself names no device.
func keyFrom(s *corev1.EnvVarSource) string {
	switch {
	case s.ConfigMapKeyRef != nil:
		return "ConfigMap " + s.ConfigMapKeyRef.Name
	case s.SecretKeyRef != nil:
		return "Secret " + s.SecretKeyRef.Name
	}
	return ""
}

// namesDevice reports whether a variable has a name as those have that hold a
// device to infer on: TARGET_DEVICE, and not VIDEO_DEVICE or
// CUDA_VISIBLE_DEVICES.
func namesDevice(variable string) bool {
	name := strings.ToUpper(variable)
	for _, other := range []string{"VIDEO", "AUDIO", "CAMERA", "INPUT", "BLOCK", "NET"} {
		if strings.HasPrefix(name, other) {
			return false
		}
	}
	for _, end := range []string{"DEVICE", "DEVICE_NAME", "DEVICE_TYPE", "ACCELERATOR"} {
		if name == end || strings.HasSuffix(name, "_"+end) {
			return true
		}
	}
	return false
}

// sources says which ConfigMaps and Secrets may set the variable that a value
// refers to.
func sources(c *corev1.Container, value string) string {
	if !strings.Contains(value, "$") || len(c.EnvFrom) == 0 {
		return ""
	}
	var names []string
	for _, e := range c.EnvFrom {
		switch {
		case e.ConfigMapRef != nil:
			names = append(names, "ConfigMap "+e.ConfigMapRef.Name)
		case e.SecretRef != nil:
			names = append(names, "Secret "+e.SecretRef.Name)
		}
	}
	return " (" + text.Shorten(strings.Join(names, ", "), 60) + " may set it)"
}
