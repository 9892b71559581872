package deviceflag

import (
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"heteroaccel.io/pkg/profile"
)

// Rewrite returns the command line of c for variant v:
//
//   - Every device flag of the profile gets v's device, in command and args,
//     as two words (-d GPU), one (-d=GPU), or within a longer text
//     (bash -c "./app -d GPU"), where its value is an OpenVINO device name
//     (see deviceFor). A flag without a dash is a key: device=GPU in one word,
//     or within a text. The user's other words stay.
//   - With no flag anywhere, the profile's first flag and the device are
//     appended to args, and so reach the program at its end whether it was
//     written in command, in args, or is the image's entrypoint. Not so when
//     a flag is there with another value (-d $DEVICE, -d /data); when command,
//     args or env mention HETEROACCEL_DEVICE; when one of the profile's
//     conflicting flags is there; when the profile has nothing but keys; or when
//     it is a shell with a script (bash -c "…"), which would not pass the words
//     behind the script to a program: those have HETEROACCEL_DEVICE.
//   - v's extra args are appended to args unless the same sequence is there.
//     Where keys have the device they follow each of these, to which they
//     belong. A shell's script gets them behind the device flag of each command
//     within it, and not at all when it has none; nothing is added beside a
//     conflicting flag.
//
// Where v's device may change while the pod waits, a reference to HETEROACCEL_DEVICE
// is written in its place, which the kubelet expands.
//
// Warnings tell where the device was not written, and what might name another.
func Rewrite(c *corev1.Container, p *profile.Profile, v *profile.Variant) *CommandLine {
	l := &CommandLine{
		Command: List{Words: c.Command}, Args: List{Words: c.Args}, profile: p,
		script: scriptIndex(c.Command, c.Args), readsEnv: mentionsEnv(c),
	}
	l.conflict = l.conflicting()
	extra := v.Spec.Args
	if l.conflict != "" {
		extra = nil
	}
	for i := range l.count() {
		text := ""
		if i == l.script {
			text = shellWords(extra)
		}
		l.rewriteWord(i, v.Written(), text)
	}
	if f := firstFlag(p); f != "" && l.script < 0 && l.conflict == "" && !l.present && !l.readsEnv {
		l.Args.add(f, v.Written())
		l.appended = true
	}
	switch {
	case len(v.Spec.Args) == 0 || l.argsInScript || l.contains(v.Spec.Args):
	case l.conflict != "" || l.script >= 0 && !l.passesArgs:
		l.argsMissing = true
	case l.script < 0 && len(l.keys) > 0:
		l.insert(extra)
	default:
		l.Args.add(extra...)
	}
	return l
}

// rewriteWord writes dev behind the flags in word i of the command line, or into
// word i+1 when i is the flag alone; extra is put behind those within a script.
func (l *CommandLine) rewriteWord(i int, dev, extra string) {
	list, j := l.at(i)
	word := list.Words[j]
	for _, f := range l.profile.DeviceFlags {
		rest, ok := strings.CutPrefix(word, f)
		if !ok || f == "" {
			continue
		}
		switch {
		case rest == "" && !isKey(f):
			l.present = true
			if i+1 == l.count() {
				l.keep(f, "")
				return
			}
			target, k := l.at(i + 1)
			if !l.replace(target, k, 0, dev) {
				l.keep(f+" "+target.Words[k], target.Words[k])
				return
			}
			l.passesArgs = l.passesArgs || l.script >= 0 && i > l.script
			return
		case rest != "" && rest[0] == '=':
			if l.replace(list, j, len(f)+1, dev) {
				l.present = true
				l.passesArgs = l.passesArgs || l.script >= 0 && i > l.script
				if isKey(f) {
					l.keys = append(l.keys, i)
				}
				return
			}
			// -d="GPU", perhaps, in a text.
		}
	}
	text, edits, present := l.rewriteText(word, dev, extra)
	l.present = l.present || present
	if len(edits) > 0 {
		list.set(j, text, edits...)
	}
}

// replace writes dev into word i of a list in place of the device that begins at
// from; false when there is none.
func (l *CommandLine) replace(target *List, i, from int, dev string) bool {
	was := target.Words[i][from:]
	now, ok := l.deviceFor(was, dev)
	if !ok {
		return false
	}
	l.named++
	if was != now {
		target.set(i, target.Words[i][:from]+now, edit{At: from, Len: len(now), Was: was})
	}
	return true
}

// maxKept bounds what is noted of a hostile command line.
const maxKept = 16

// keep notes a flag whose value stays as it is.
func (l *CommandLine) keep(text, value string) {
	if len(l.kept) < maxKept {
		l.kept = append(l.kept, keptFlag{text, value})
	}
}

// insert puts words behind each key with a device.
func (l *CommandLine) insert(words []string) {
	commands := len(l.Command.Words)
	for _, i := range slices.Backward(l.keys) { // the last first, so that the others' indices hold
		if i < commands {
			l.Command.insert(i+1, words...)
		} else {
			l.Args.insert(i-commands+1, words...)
		}
	}
}
