package mutate

import (
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"heteroaccel.io/pkg/accel"
	"heteroaccel.io/pkg/profile"
)

// line is a container's command line in the making: command, then args.
type line struct {
	profile       *profile.Profile
	command, args list
	// script is the index of the text that a shell runs, -1 when there is none.
	script int

	// What was found in the user's words, and done to them.

	// named is set once a flag had a device, which is now the variant's; stands
	// once a flag was there with whatever value; appended when one was added.
	named, stands, appended bool
	// passed is whether a flag is among the words behind a script, so that the
	// script evidently hands its words on.
	passed bool
	// mentions is whether the container takes its device from accel.DeviceEnv.
	mentions bool
	// keyed are the words of the line that were a key with a device.
	keyed []int
	// placed is set once a script has the variant's args, missing when nothing
	// shows where they belong.
	placed, missing bool
	// conflict is the flag beside which nothing may be added, with its value;
	// "" when there is none.
	conflict string
	// left are the flags whose values were not taken for devices.
	left []place
}

// place is part of a command line that was left as it is.
type place struct {
	text  string // flag and value as they stand
	value string
}

// setDevice rewrites the command line of c for variant v:
//
//   - Every device flag of the profile gets v's device, in command and args,
//     as two words (-d GPU), one (-d=GPU), or within a longer text
//     (bash -c "./app -d GPU"), where its value is an OpenVINO device name
//     (see deviceFor). A flag without a dash is a key: device=GPU in one word,
//     or within a text. Nothing else of the user's words changes.
//   - With no flag anywhere, the profile's first flag and the device are
//     appended to args, and so reach the program at its end whether it was
//     written in command, in args, or is the image's entrypoint. Not so when
//     a flag stands there with another value (-d $DEVICE, -d /data); when
//     command, args or env mention HETEROACCEL_DEVICE; when one of the
//     profile's conflicting flags stands there; when the profile has none but
//     keys; or when the line is a shell with a script (bash -c "…"), which
//     would not hand words behind the script on: HETEROACCEL_DEVICE is what
//     serves those.
//   - v's extra args are appended to args unless the same sequence is there.
//     Where keys have the device they come behind each of these, as what
//     belongs to it. A shell's script gets them behind the device flag of each
//     command within it, and not at all when it has none; nor does anything
//     beside a conflicting flag.
//
// Of what nobody wrote the device into, or might name another, warnings tell.
func setDevice(c *corev1.Container, p *profile.Profile, v *profile.Variant) *line {
	l := &line{
		profile: p, command: list{words: c.Command}, args: list{words: c.Args},
		script: scriptIndex(c.Command, c.Args), mentions: mentionsEnv(c),
	}
	l.conflict = l.conflicting()
	extra := v.Spec.Args
	if l.conflict != "" {
		extra = nil
	}
	for i := range l.len() {
		text := ""
		if i == l.script {
			text = shellWords(extra)
		}
		l.rewriteWord(i, v.Device, text)
	}
	if f := firstFlag(p); f != "" && l.script < 0 && l.conflict == "" && !l.stands && !l.mentions {
		l.args.add(f, v.Device)
		l.appended = true
	}
	switch {
	case len(v.Spec.Args) == 0 || l.placed || l.contains(v.Spec.Args):
	case l.conflict != "" || l.script >= 0 && !l.passed:
		l.missing = true
	case l.script < 0 && len(l.keyed) > 0:
		l.insert(extra)
	default:
		l.args.add(extra...)
	}
	return l
}

// at returns word i of the whole line: the list that has it, and its index
// there.
func (l *line) at(i int) (*list, int) {
	if n := len(l.command.words); i >= n {
		return &l.args, i - n
	}
	return &l.command, i
}

func (l *line) word(i int) string {
	list, j := l.at(i)
	return list.words[j]
}

func (l *line) len() int { return len(l.command.words) + len(l.args.words) }

// rewriteWord gives dev to the flags in word i of the line, or in word i+1
// when i is the flag alone; extra goes behind those within a script.
func (l *line) rewriteWord(i int, dev, extra string) {
	list, j := l.at(i)
	word := list.words[j]
	for _, f := range l.profile.DeviceFlags {
		rest, ok := strings.CutPrefix(word, f)
		if !ok || f == "" {
			continue
		}
		switch {
		case rest == "" && !isKey(f):
			l.stands = true
			if i+1 == l.len() {
				l.leave(f, "")
				return
			}
			target, k := l.at(i + 1)
			if !l.give(target, k, 0, dev) {
				l.leave(f+" "+target.words[k], target.words[k])
				return
			}
			l.passed = l.passed || l.script >= 0 && i > l.script
			return
		case rest != "" && rest[0] == '=':
			if l.give(list, j, len(f)+1, dev) {
				l.stands = true
				l.passed = l.passed || l.script >= 0 && i > l.script
				if isKey(f) {
					l.keyed = append(l.keyed, i)
				}
				return
			}
			// -d="GPU", perhaps, in a text.
		}
	}
	text, edits, stands := l.rewriteText(word, dev, extra)
	l.stands = l.stands || stands
	if len(edits) > 0 {
		list.set(j, text, edits...)
	}
}

// give puts dev into word i of a list in the place of the device that begins at
// from; false when none stands there.
func (l *line) give(target *list, i, from int, dev string) bool {
	was := target.words[i][from:]
	now, ok := l.deviceFor(was, dev)
	if !ok {
		return false
	}
	l.named = true
	if was != now {
		target.set(i, target.words[i][:from]+now, edit{At: from, Len: len(now), Was: was})
	}
	return true
}

// mostPlaces bounds what is noted of a hostile command line.
const mostPlaces = 16

// leave notes a flag whose value was left as it is.
func (l *line) leave(text, value string) {
	if len(l.left) < mostPlaces {
		l.left = append(l.left, place{text, value})
	}
}

// insert puts words behind each key with a device.
func (l *line) insert(words []string) {
	commands := len(l.command.words)
	for _, i := range slices.Backward(l.keyed) { // the last first, so that the others' indices hold
		if i < commands {
			l.command.insert(i+1, words...)
		} else {
			l.args.insert(i-commands+1, words...)
		}
	}
}

// contains reports whether the line has words in sequence.
func (l *line) contains(words []string) bool {
	for start := 0; start+len(words) <= l.len(); start++ {
		n := 0
		for n < len(words) && l.word(start+n) == words[n] {
			n++
		}
		if n == len(words) {
			return true
		}
	}
	return false
}

// conflicting returns the first conflicting flag on the line, with its value
// where it has one.
func (l *line) conflicting() string {
	if len(l.profile.ConflictingFlags) == 0 {
		return ""
	}
	for i := range l.len() {
		word := l.word(i)
		for _, f := range l.profile.ConflictingFlags {
			switch {
			case word == f && i+1 < l.len():
				return f + " " + l.word(i+1)
			case word == f || strings.HasPrefix(word, f+"="):
				return word
			}
			if at := flagIn(word, f); at >= 0 {
				return glimpse(word, at, at+len(f))
			}
		}
	}
	return ""
}

// isKey reports whether a flag is the key of key=value.
func isKey(flag string) bool { return flag != "" && flag[0] != '-' }

// firstFlag is the flag that may be appended, "" for none.
func firstFlag(p *profile.Profile) string {
	for _, f := range p.DeviceFlags {
		if f != "" && !isKey(f) {
			return f
		}
	}
	return ""
}

// mentionsEnv reports whether c takes the device from the environment: its
// command line or a variable says $HETEROACCEL_DEVICE or $(HETEROACCEL_DEVICE),
// or the user declared the variable, with a device for when we are not there.
func mentionsEnv(c *corev1.Container) bool {
	mentions := func(s string) bool { return strings.Contains(s, accel.DeviceEnv) }
	return slices.ContainsFunc(c.Command, mentions) || slices.ContainsFunc(c.Args, mentions) ||
		slices.ContainsFunc(c.Env, func(e corev1.EnvVar) bool { return e.Name == accel.DeviceEnv || mentions(e.Value) })
}
