package deviceflag

import (
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"heteroaccel.io/pkg/accel"
	"heteroaccel.io/pkg/profile"
)

// CommandLine is a container's rewritten command line: command, then args.
type CommandLine struct {
	Command, Args List

	profile *profile.Profile
	// script is the index of the text that a shell runs, -1 when there is none.
	script int

	// named is how many flags had a device, which is now the variant's.
	named int
	// present is set once a flag was there, whatever its value; appended when one was
	// added.
	present, appended bool
	// passesArgs is whether a flag is among the words behind a script: evidently
	// the script passes them to a program.
	passesArgs bool
	// readsEnv is whether the container takes its device from accel.DeviceEnv.
	readsEnv bool
	// keys are the indices of the words that were a key with a device.
	keys []int
	// argsInScript is set once a script has the variant's args, argsMissing when
	// nothing shows where they belong.
	argsInScript, argsMissing bool
	// conflict is the flag beside which nothing may be added, with its value;
	// "" when there is none.
	conflict string
	// kept are the flags whose values are no devices, and stayed.
	kept []keptFlag
}

// keptFlag is a flag on a command line that stayed as it is.
type keptFlag struct {
	text  string // flag and value as they are written
	value string
}

// Places is how many flags have the variant's device now, one that was added included.
func (l *CommandLine) Places() int {
	if l.appended {
		return l.named + 1
	}
	return l.named
}

// NamesDevice reports whether the user's command line named a device, or reads
// it from HETEROACCEL_DEVICE.
func (l *CommandLine) NamesDevice() bool { return l.named > 0 || l.readsEnv }

// at returns where word i of the command line is: its list, and the index in
// that.
func (l *CommandLine) at(i int) (*List, int) {
	if n := len(l.Command.Words); i >= n {
		return &l.Args, i - n
	}
	return &l.Command, i
}

func (l *CommandLine) word(i int) string {
	list, j := l.at(i)
	return list.Words[j]
}

func (l *CommandLine) count() int { return len(l.Command.Words) + len(l.Args.Words) }

// contains reports whether the command line has words in sequence.
func (l *CommandLine) contains(words []string) bool {
	for start := 0; start+len(words) <= l.count(); start++ {
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

// conflicting returns the first conflicting flag on the command line, with its
// value if it has one.
func (l *CommandLine) conflicting() string {
	if len(l.profile.ConflictingFlags) == 0 {
		return ""
	}
	for i := range l.count() {
		word := l.word(i)
		for _, f := range l.profile.ConflictingFlags {
			switch {
			case word == f && i+1 < l.count():
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
