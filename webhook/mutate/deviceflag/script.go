package deviceflag

import "strings"

// edit is one replacement within a string: at offset At of the new string, Len
// bytes replace Was.
type edit struct {
	At  int    `json:"at"`
	Len int    `json:"len"`
	Was string `json:"was,omitempty"`
}

// rewriteText gives every device flag within s, a shell script or any other
// text of several words, the device dev, and puts extra, which begins with a
// space or is empty, behind the first in each command. Quoting is kept; every
// other byte stays.
//
// A flag counts at the start of a word. Its value is the next word, or what
// follows "=", bare or in quotes, and must be a device name and nothing more:
// "-d GPUish", "-d GPU$N", "-dGPU" and "-d $DEVICE" stay as they are. Only
// $HETEROACCEL_DEVICE counts: it is the right device already. The scanner keeps
// no state of quotes, so that scripts within scripts (bash -c "sh -c '… -d GPU'")
// and stray apostrophes do not confuse it: a quote that follows a bare value
// ends it when a word ends there too.
//
// edits are in ascending order; present reports whether s has a flag at all,
// whatever its value.
func (l *CommandLine) rewriteText(s, dev, extra string) (out string, edits []edit, present bool) {
	if !l.mentionsFlag(s) {
		return s, nil, false
	}
	var b strings.Builder
	copied := 0 // s[:copied] is in b
	put := func(from, to int, text string) {
		b.WriteString(s[copied:from])
		if s[from:to] != text {
			edits = append(edits, edit{At: b.Len(), Len: len(text), Was: s[from:to]})
		}
		b.WriteString(text)
		copied = to
	}
	command := 0 // the end of the last one that has extra
	addExtra := func(at int) {
		if extra == "" || at < command {
			return
		}
		var start int
		start, command = commandOf(s, command, at)
		if !strings.Contains(s[start:command], extra) {
			put(at, at, extra)
		}
		l.argsInScript = true
	}
	for i := 0; i < len(s); i++ {
		after, key, ok := l.flagAt(s, i)
		if !ok {
			continue
		}
		if end, ok := deviceEnvAt(s, i, after); ok {
			present = true
			addExtra(end)
			i = end - 1
			continue
		}
		v, ok := valueAt(s, i, after, key)
		now := ""
		if ok {
			now, ok = l.deviceFor(s[v.from:v.to], dev)
		}
		if !ok {
			text := glimpse(s, i, after)
			value := strings.TrimLeft(text[min(len(text), after-i):], " \t=\"'\\")
			if !key || mayBeDevice(value) {
				present = true
				l.keep(text, value)
			}
			continue
		}
		present = true
		l.named++
		if v.bare {
			now = shellWord(now)
		}
		put(v.from, v.to, now)
		addExtra(v.end)
		i = v.to - 1
	}
	if len(edits) == 0 {
		return s, nil, present
	}
	b.WriteString(s[copied:])
	return b.String(), edits, present
}

func (l *CommandLine) mentionsFlag(s string) bool {
	for _, f := range l.profile.DeviceFlags {
		if f != "" && strings.Contains(s, f) {
			return true
		}
	}
	return false
}

// flagAt reports whether a device flag begins at s[i], where it ends, and
// whether it is a key.
func (l *CommandLine) flagAt(s string, i int) (after int, key, ok bool) {
	for _, f := range l.profile.DeviceFlags {
		if f == "" || s[i] != f[0] || !strings.HasPrefix(s[i:], f) {
			continue
		}
		after = i + len(f)
		if isKey(f) {
			if after < len(s) && s[after] == '=' && (startsWord(s, i) || strings.IndexByte(",:{[", s[i-1]) >= 0) {
				return after, true, true
			}
		} else if startsWord(s, i) && (after == len(s) || s[after] == '=' || endsWord(s, after)) {
			return after, false, true
		}
	}
	return 0, false, false
}

// flagIn returns where in a text flag f begins, or -1.
func flagIn(s, f string) int {
	for from := 0; ; {
		i := strings.Index(s[from:], f)
		if i < 0 {
			return -1
		}
		i += from
		from = i + len(f)
		if startsWord(s, i) && (from == len(s) || s[from] == '=' || endsWord(s, from)) {
			return i
		}
	}
}

// commandOf returns the part of s that is the command around s[at], given that
// nothing before from is part of it.
func commandOf(s string, from, at int) (start, end int) {
	start = from
	for i := from; i < at; i++ {
		if endsCommand(s, i) {
			start = i + 1
		}
	}
	for end = at; end < len(s) && !endsCommand(s, end); end++ {
	}
	return start, end
}

// endsCommand reports whether a command ends at s[i]: for a shell, or as an
// element of a GStreamer pipeline does, at a "!" of its own.
func endsCommand(s string, i int) bool {
	switch s[i] {
	case ';', '|', '&', '`', '(', ')':
		return true
	case '\n':
		return !strings.HasSuffix(s[:i], "\\") && !strings.HasSuffix(s[:i], "\\\r")
	case '!':
		return i > 0 && isBlank(s[i-1]) && i+1 < len(s) && isBlank(s[i+1])
	}
	return false
}
