package mutate

import (
	"path"
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
	// stands is whether a device flag is there already, with whatever value;
	// passed whether one is among the words behind a shell's script, so that
	// the script evidently hands its arguments on.
	stands, passed bool
}

// list is one of the two lists of a command line, and what was done to it.
type list struct {
	words []string
	owned bool // words is a copy, and may be written
	edits []listEdit
	added int // words appended at the end
}

// listEdit is an edit of one word of a list.
type listEdit struct {
	Word int `json:"word"`
	edit
}

func (l *list) set(i int, word string, edits ...edit) {
	if !l.owned {
		l.words, l.owned = slices.Clone(l.words), true
	}
	l.words[i] = word
	for _, e := range edits {
		l.edits = append(l.edits, listEdit{Word: i, edit: e})
	}
}

func (l *list) add(words ...string) {
	l.words, l.owned = append(slices.Clip(l.words), words...), true
	l.added += len(words)
}

// setDevice rewrites the command line of c for variant v:
//
//   - Every device flag of the profile gets v's device, in command and args,
//     as two words (-d GPU), one (-d=GPU), or within a longer text
//     (bash -c "./app -d GPU"), where its value is an OpenVINO device name
//     (see isDevice). Nothing else of the user's words changes.
//   - With no flag anywhere, the profile's first flag and the device are
//     appended to args, and so reach the program at its end whether it was
//     written in command, in args, or is the image's entrypoint. Not so when
//     a flag stands there with another value (-d $DEVICE, -d /data); when
//     command, args or env mention HETEROACCEL_DEVICE; or when the line is a
//     shell with a script (bash -c "…"), which would not hand words behind
//     the script on: HETEROACCEL_DEVICE is what serves those.
//   - v's extra args are appended to args unless the same sequence is there.
//     A shell's script gets them behind each device flag within it, and not at
//     all when it has none.
func setDevice(c *corev1.Container, p *profile.Profile, v *profile.Variant) *line {
	l := &line{profile: p, command: list{words: c.Command}, args: list{words: c.Args}}
	script := scriptIndex(c.Command, c.Args)
	for i := range len(c.Command) + len(c.Args) {
		extra := ""
		if i == script {
			extra = l.textArgs(i, v)
		}
		l.rewriteWord(i, script, v.Device, extra)
	}
	shell := script >= 0
	if !shell && !l.stands && firstFlag(p) != "" && !mentionsEnv(c) {
		l.args.add(firstFlag(p), v.Device)
	}
	if extra := v.Spec.Args; len(extra) > 0 && (!shell || l.passed) && !l.contains(extra) {
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
// when i is the flag alone.
func (l *line) rewriteWord(i, script int, dev, extra string) {
	list, j := l.at(i)
	word := list.words[j]
	for _, f := range l.profile.DeviceFlags {
		if f == "" || !strings.HasPrefix(word, f) {
			continue
		}
		rest := word[len(f):]
		if rest != "" && rest[0] != '=' {
			continue
		}
		target, k, from := list, j, len(f)+1
		if rest == "" {
			l.stands = true
			if i+1 == l.len() {
				return
			}
			target, k = l.at(i + 1)
			from = 0
		}
		was := target.words[k][from:]
		if !isDevice(was, l.profile) {
			if rest == "" {
				return
			}
			break // -d="GPU", perhaps, in a text
		}
		l.stands = true
		l.passed = l.passed || script >= 0 && i > script
		if was != dev {
			target.set(k, target.words[k][:from]+dev, edit{At: from, Len: len(dev), Was: was})
		}
		return
	}
	text, edits, stands := l.rewriteText(word, dev, extra)
	l.stands = l.stands || stands
	if len(edits) > 0 {
		list.set(j, text, edits...)
	}
}

// textArgs returns v's extra args as they go into the script that is word i,
// with a space before them; "" when they are there already or there are none.
func (l *line) textArgs(i int, v *profile.Variant) string {
	if len(v.Spec.Args) == 0 {
		return ""
	}
	var b strings.Builder
	for _, a := range v.Spec.Args {
		b.WriteByte(' ')
		b.WriteString(shellWord(a))
	}
	if strings.Contains(l.word(i), b.String()) {
		return ""
	}
	return b.String()
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

func firstFlag(p *profile.Profile) string {
	if len(p.DeviceFlags) == 0 {
		return ""
	}
	return p.DeviceFlags[0]
}

// mentionsEnv reports whether c takes the device from the environment: its
// command line or a variable says $HETEROACCEL_DEVICE or $(HETEROACCEL_DEVICE),
// or the user declared the variable, with a device for when we are not there.
func mentionsEnv(c *corev1.Container) bool {
	mentions := func(s string) bool { return strings.Contains(s, accel.DeviceEnv) }
	return slices.ContainsFunc(c.Command, mentions) || slices.ContainsFunc(c.Args, mentions) ||
		slices.ContainsFunc(c.Env, func(e corev1.EnvVar) bool { return e.Name == accel.DeviceEnv || mentions(e.Value) })
}

// scriptIndex returns the index, in command followed by args, of the script
// that a shell is given with -c; -1 when the line is no such thing. Options
// may stand before -c or in one word with it (bash -euo pipefail -c, sh -ec).
// A line without command may begin with -c when the image's entrypoint is the
// shell; it counts when the word behind is a text of several words.
func scriptIndex(command, args []string) int {
	words := command
	if len(args) > 0 {
		words = slices.Concat(command, args)
	}
	if len(command) == 0 && len(words) > 1 && takesScript(words[0]) && strings.ContainsAny(words[1], " \t\n") {
		return 1
	}
	for i := 0; i < len(words); i++ {
		if !isShell(words[i]) {
			continue
		}
		for i++; i < len(words); i++ {
			o := words[i]
			if len(o) < 2 || o[0] != '-' && o[0] != '+' {
				i-- // this may be the shell that another one is given: sh bash -c …
				break
			}
			switch {
			case strings.HasPrefix(o, "--"):
			case strings.HasSuffix(strings.ToLower(o), "o"):
				i++ // -o pipefail
			case takesScript(o) && i+1 < len(words):
				return i + 1
			}
		}
	}
	return -1
}

// takesScript reports whether o is a cluster of single-letter options with -c.
func takesScript(o string) bool {
	letters, ok := strings.CutPrefix(o, "-")
	notLetter := func(r rune) bool { return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') }
	return ok && strings.Contains(letters, "c") && !strings.ContainsFunc(letters, notLetter)
}

func isShell(word string) bool {
	switch path.Base(word) {
	case "sh", "bash", "ash", "dash", "ksh", "mksh", "zsh":
		return true
	}
	return false
}
