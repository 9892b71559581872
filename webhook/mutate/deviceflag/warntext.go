package deviceflag

import (
	"fmt"
	"strings"
	"unicode"

	"heteroaccel.io/pkg/text"
)

// anyDevice is how people write a flag whose device is to be filled in.
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

// maxWarnings bounds how many are listed; the rest is counted.
const maxWarnings = 5

// Texts are the warnings at length, sentences of at most 256 bytes.
func (w *Warnings) Texts() []string {
	var out []string
	for i, one := range w.all {
		if i == maxWarnings {
			out = append(out, fmt.Sprintf("container %q: %d more such places", w.container, len(w.all)-i))
			break
		}
		out = append(out, text.Shorten(fmt.Sprintf("container %q: %s", w.container, one.long), 256))
	}
	return out
}

// Note is how the decision's reason is to end; "" without warnings.
func (w *Warnings) Note() string {
	switch len(w.all) {
	case 0:
		return ""
	case 1:
		return "; but " + w.all[0].short
	case 2:
		return "; but " + w.all[0].short + ", and " + w.all[1].short
	}
	return fmt.Sprintf("; but %s, and %d more warnings", w.all[0].short, len(w.all)-1)
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
	return `"` + strings.ReplaceAll(text.Shorten(s, 60), `"`, `'`) + `"`
}
