package deviceflag

import (
	"fmt"
	"path"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"heteroaccel.io/pkg/profile"
)

// Warnings are about the device that a container will run on: every place that
// may still name another, and what could not be written where it belongs.
type Warnings struct {
	// Unwritten is set when the device was written nowhere that the program is
	// known to read.
	Unwritten bool

	container string
	all       []warning
}

// warning is one of them, at length and in a few words.
type warning struct{ long, short string }

func (w *Warnings) add(short, long string, args ...any) {
	w.all = append(w.all, warning{fmt.Sprintf(long, args...), short})
}

// Warnings returns those for container c, whose command line is now l and whose
// variant is v.
func (l *CommandLine) Warnings(c *corev1.Container, v *profile.Variant) *Warnings {
	w := &Warnings{container: c.Name}
	written := l.readsEnv || l.profile.ReadsDeviceEnv || l.variantNamesDevice(v)
	w.Unwritten = !written && (l.conflict != "" || l.named == 0 && !l.appended)
	explained := w.Unwritten && l.conflict != "" // whether something says why
	if explained {
		w.add(fmt.Sprintf("what %s sets may be another device", flagOf(l.conflict)),
			"%s%s sets the device itself, so no flag was added: check that it sets %s", shown(l.conflict), mountedFrom(c, l.conflict), v.Device)
	}
	// Whoever mentions our variable knows the other places.
	if !l.readsEnv {
		seen := map[string]bool{}
		l.warnKept(w, c, v, seen, explained)
		explained = explained || len(seen) > 0
		for _, text := range l.otherNames(v) {
			if seen[text] {
				continue
			}
			seen[text] = true
			w.add(shown(text)+" names another device", "%s stays as it is and names another device than %s: use $(HETEROACCEL_DEVICE) there",
				shown(text), v.Device)
		}
		l.warnEnv(w, c, v)
	}
	if w.Unwritten && !explained {
		w.add("only HETEROACCEL_DEVICE names the device", "only the variable HETEROACCEL_DEVICE names %s, %s", v.Device, l.whyUnwritten())
	}
	if l.argsMissing {
		why := "as no device flag in its script shows where they belong"
		if l.conflict != "" {
			why = "beside " + shown(l.conflict)
		}
		w.add(fmt.Sprintf("the %s variant's arguments were not added", v.Kind),
			"the %s variant's arguments %s were not added, %s", v.Kind, shown(strings.Join(v.Spec.Args, " ")), why)
	}
	return w
}

// warnKept warns of the device flags whose values stayed: first of those that
// may be devices, then, if nothing else explains why the device was written
// nowhere, of one that is taken for another program's. It adds them to seen.
func (l *CommandLine) warnKept(w *Warnings, c *corev1.Container, v *profile.Variant, seen map[string]bool, explained bool) {
	for _, k := range l.kept {
		if seen[k.text] || !mayBeDevice(k.value) {
			continue
		}
		seen[k.text] = true
		w.add(shown(k.text)+" may be another device",
			"%s stays as it is and may name another device than %s%s: write %q, or use $(HETEROACCEL_DEVICE)",
			shown(k.text), v.Device, sources(c, k.value), anyDevice(flagOf(k.text)))
	}
	if explained || len(seen) > 0 || !w.Unwritten {
		return
	}
	for _, k := range l.kept {
		if seen[k.text] || mayBeDevice(k.value) {
			continue
		}
		seen[k.text] = true
		w.add("only HETEROACCEL_DEVICE names the device",
			"%s is taken for another program's flag, and so only the variable HETEROACCEL_DEVICE names %s: write %q where the program gets its device",
			shown(k.text), v.Device, anyDevice(firstOf(l.profile.DeviceFlags)))
		return
	}
}

// whyUnwritten says why no flag could be written, and what to do.
func (l *CommandLine) whyUnwritten() string {
	flags := strings.Join(l.profile.DeviceFlags, ", ")
	switch {
	case flags == "":
		return fmt.Sprintf("as inference %s has no device flags: if the program reads it, set readsDeviceEnv in the profile", l.profile.Name)
	case firstFlag(l.profile) == "":
		return fmt.Sprintf("as there is no %s=… with a device on its command line", strings.Join(l.profile.DeviceFlags, "=…, "))
	case l.script >= 0:
		return fmt.Sprintf("as its script has none of the flags %s: write %q there", flags, anyDevice(firstFlag(l.profile)))
	}
	return fmt.Sprintf("as none of the flags %s has a device", flags)
}

// variantNamesDevice reports whether variant v names its device in a variable or
// in arguments of its own.
func (l *CommandLine) variantNamesDevice(v *profile.Variant) bool {
	names := func(s string) bool {
		_, value, _ := strings.Cut(s, "=")
		return strings.EqualFold(s, v.Device) || strings.EqualFold(value, v.Device)
	}
	for _, e := range v.Spec.Env {
		if names(e.Value) {
			return true
		}
	}
	for _, a := range v.Spec.Args {
		if names(a) && !l.argsMissing {
			return true
		}
	}
	return false
}

// mountedFrom says in which volume the file is that a flag names, "" for none.
func mountedFrom(c *corev1.Container, flag string) string {
	file := strings.Trim(flag[strings.IndexAny(flag+" ", " =")+0:], ` ="'`)
	for i := range c.VolumeMounts {
		m := &c.VolumeMounts[i]
		if at := path.Clean(m.MountPath); file == at || strings.HasPrefix(file, at+"/") {
			return " (in volume " + m.Name + ")"
		}
	}
	return ""
}
