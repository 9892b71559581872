package mutate

import (
	"fmt"
	"path"
	"strings"
	"unicode"

	corev1 "k8s.io/api/core/v1"

	"heteroaccel.io/pkg/profile"
)

// doubts are what is not certain about the device that a container will run
// on, once it was given a variant: every place that may still name another, and
// what did not get where it belongs. Nothing of it is changed: people are told.
type doubts struct {
	container string
	said      []doubt
	// unwritten is set when the device was written nowhere that the program is
	// known to read.
	unwritten bool
}

// doubt is one of them, at length and in a few words.
type doubt struct{ long, short string }

func (d *doubts) add(short, long string, args ...any) {
	d.said = append(d.said, doubt{fmt.Sprintf(long, args...), short})
}

// doubts looks at container c as it is now that l is its command line for
// variant v.
func (l *line) doubts(c *corev1.Container, v *profile.Variant) *doubts {
	d := &doubts{container: c.Name}
	told := l.mentions || l.profile.ReadsDeviceEnv || l.variantTells(v)
	d.unwritten = !told && (l.conflict != "" || !l.named && !l.appended)
	explained := false
	if d.unwritten && l.conflict != "" {
		where := mountedFrom(c, l.conflict)
		d.add(fmt.Sprintf("what %s says may be another device", flagOf(l.conflict)),
			"%s%s says the device itself, so no flag was added: see that it says %s", shown(l.conflict), where, v.Device)
		explained = true
	}
	// Who mentions our variable knows what else there is.
	if !l.mentions {
		seen := map[string]bool{}
		for _, sure := range []bool{false, true} { // those first that could be ours
			for _, p := range l.left {
				if seen[p.text] || doubtful(p.value) == sure || sure && (explained || !d.unwritten) {
					continue
				}
				seen[p.text] = true
				if sure {
					d.add("only HETEROACCEL_DEVICE says the device",
						"%s is taken for another program's flag, and so only the variable HETEROACCEL_DEVICE says %s: write %q where the program is told its device",
						shown(p.text), v.Device, anyDevice(firstOf(l.profile.DeviceFlags)))
					break
				}
				d.add(shown(p.text)+" may be another device",
					"%s stays as it is and may name another device than %s%s: write %q, or use $(HETEROACCEL_DEVICE)",
					shown(p.text), v.Device, sources(c, p.value), anyDevice(flagOf(p.text)))
			}
			explained = explained || len(seen) > 0
		}
		for _, text := range l.elsewhere(v) {
			if seen[text] {
				continue
			}
			seen[text] = true
			d.add(shown(text)+" names another device", "%s stays as it is and names another device than %s: use $(HETEROACCEL_DEVICE) there",
				shown(text), v.Device)
		}
		l.doubtEnv(c, v, d)
	}
	if d.unwritten && !explained {
		d.add("only HETEROACCEL_DEVICE says the device", "only the variable HETEROACCEL_DEVICE says %s, %s", v.Device, l.whyUnwritten())
	}
	if l.missing {
		why := "as no device flag in its script shows where they belong"
		if l.conflict != "" {
			why = "beside " + shown(l.conflict)
		}
		d.add(fmt.Sprintf("the %s variant's arguments were not added", v.Kind),
			"the %s variant's arguments %s were not added, %s", v.Kind, shown(strings.Join(v.Spec.Args, " ")), why)
	}
	return d
}

// whyUnwritten says why no flag could be written, and what to do.
func (l *line) whyUnwritten() string {
	flags := strings.Join(l.profile.DeviceFlags, ", ")
	switch {
	case flags == "":
		return fmt.Sprintf("as inference %s has no device flags: if the program reads it, say readsDeviceEnv in the profile", l.profile.Name)
	case firstFlag(l.profile) == "":
		return fmt.Sprintf("as there is no %s=… with a device on its command line", strings.Join(l.profile.DeviceFlags, "=…, "))
	case l.script >= 0:
		return fmt.Sprintf("as its script has none of the flags %s: write %q there", flags, anyDevice(firstFlag(l.profile)))
	}
	return fmt.Sprintf("as none of the flags %s has a device", flags)
}

// variantTells reports whether variant v says its device in a variable or in
// arguments of its own.
func (l *line) variantTells(v *profile.Variant) bool {
	says := func(s string) bool {
		_, value, _ := strings.Cut(s, "=")
		return strings.EqualFold(s, v.Device) || strings.EqualFold(value, v.Device)
	}
	for _, e := range v.Spec.Env {
		if says(e.Value) {
			return true
		}
	}
	for _, a := range v.Spec.Args {
		if says(a) && !l.missing {
			return true
		}
	}
	return false
}

// elsewhere returns the places on the command line, not of ours, that name
// other devices than variant v's.
func (l *line) elsewhere(v *profile.Variant) []string {
	s := &search{line: l, given: given(l.profile, v)}
	for _, list := range []*list{&l.command, &l.args} {
		edits, inserted := list.edits, list.inserted
		for i, word := range list.words[:len(list.words)-list.added] {
			if len(inserted) > 0 && inserted[0] == i {
				inserted = inserted[1:]
				continue
			}
			s.ours = s.ours[:0]
			for len(edits) > 0 && edits[0].Word == i {
				s.ours, edits = append(s.ours, edits[0].edit), edits[1:]
			}
			s.quoted = true
			s.scan(word)
			s.before = word
		}
	}
	return s.found
}

// given are the devices that variant v stands for.
func given(p *profile.Profile, v *profile.Variant) map[string]bool {
	set := map[string]bool{}
	for _, name := range namedDevices(v.Device, p, true) {
		set[name] = true
	}
	set[strings.ToUpper(v.Device)] = true
	return set
}

// mountedFrom says which volume the file is in that a flag names.
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

// anyDevice is a flag as people write it whose device is to be filled in.
func anyDevice(flag string) string {
	if isKey(flag) {
		return flag + "=any"
	}
	return flag + " any"
}

func firstOf(flags []string) string {
	if len(flags) == 0 {
		return ""
	}
	return flags[0]
}

// flagOf is the flag of "-d value" or "-d=value".
func flagOf(text string) string {
	if i := strings.IndexAny(text, " =\t"); i > 0 {
		return text[:i]
	}
	return text
}

// mostWarnings bounds how many are given; the rest is counted.
const mostWarnings = 5

// warnings are the doubts at length.
func (d *doubts) warnings() []string {
	var out []string
	for i, one := range d.said {
		if i == mostWarnings {
			out = append(out, fmt.Sprintf("container %q: %d more such places", d.container, len(d.said)-i))
			break
		}
		out = append(out, shortened(fmt.Sprintf("container %q: %s", d.container, one.long), 256))
	}
	return out
}

// note is what the decision's reason is to end with; "" when nothing is in
// doubt.
func (d *doubts) note() string {
	switch len(d.said) {
	case 0:
		return ""
	case 1:
		return "; but " + d.said[0].short
	case 2:
		return "; but " + d.said[0].short + ", and " + d.said[1].short
	}
	return fmt.Sprintf("; but %s, and %d more doubts", d.said[0].short, len(d.said)-1)
}

// shown quotes part of a pod for people: on one line, and not much of it.
func shown(s string) string {
	s = strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r):
			return ' '
		case !unicode.IsPrint(r):
			return '?'
		}
		return r
	}, strings.ToValidUTF8(s, "?"))
	return `"` + strings.ReplaceAll(shortened(s, 60), `"`, `'`) + `"`
}

// shortened cuts s to at most so many bytes.
func shortened(s string, most int) string {
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most-len("…")], "") + "…"
}
