package mutate

import "strings"

// edit is one replacement within a string: at offset At of the new string, Len
// bytes stand in place of Was.
type edit struct {
	At  int    `json:"at"`
	Len int    `json:"len"`
	Was string `json:"was,omitempty"`
}

// rewriteText gives every device flag within s, a shell script or any other
// text of several words, the device dev, and puts extra, which begins with a
// space or is empty, behind each. Quoting is kept; every other byte stays.
//
// A flag counts at the start of a word. Its value is the next word, or what
// follows "=", bare or in quotes, and must be a device name and nothing more:
// "-d GPUish", "-d GPU$N", "-dGPU" and "-d $DEVICE" stay as they are. The
// scanner keeps no quoting state, so that scripts within scripts
// (bash -c "sh -c '… -d GPU'") and stray apostrophes do not confuse it: a
// quote that follows a bare value ends it when a word ends there too.
//
// edits are in ascending order; stands reports whether a flag stands in s at
// all, with whatever value.
func (l *line) rewriteText(s, dev, extra string) (out string, edits []edit, stands bool) {
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
	for i := 0; i < len(s); i++ {
		after, ok := l.flagAt(s, i)
		if !ok {
			continue
		}
		stands = true
		v, ok := l.valueAt(s, i, after)
		if !ok {
			continue
		}
		text := dev
		if v.bare {
			text = shellWord(dev)
		}
		put(v.from, v.to, text)
		if extra != "" {
			put(v.end, v.end, extra)
		}
		i = v.to - 1
	}
	if len(edits) == 0 {
		return s, nil, stands
	}
	b.WriteString(s[copied:])
	return b.String(), edits, stands
}

func (l *line) mentionsFlag(s string) bool {
	for _, f := range l.profile.DeviceFlags {
		if f != "" && strings.Contains(s, f) {
			return true
		}
	}
	return false
}

// flagAt reports whether a device flag begins at s[i], and where it ends.
func (l *line) flagAt(s string, i int) (after int, ok bool) {
	for _, f := range l.profile.DeviceFlags {
		if f == "" || s[i] != f[0] || !strings.HasPrefix(s[i:], f) || !startsWord(s, i) {
			continue
		}
		if after = i + len(f); after == len(s) || s[after] == '=' || endsWord(s, after) {
			return after, true
		}
	}
	return 0, false
}

// value is a device name within a string.
type value struct {
	from, to int // the name itself
	end      int // where the words that belong to it end: behind its quotes
	bare     bool
}

// valueAt finds the device that belongs to the flag s[flag:i].
func (l *line) valueAt(s string, flag, i int) (v value, ok bool) {
	assigned := i < len(s) && s[i] == '='
	if assigned {
		i++
	} else {
		if flag > 0 && i < len(s) && isQuote(s[i]) && s[flag-1] == s[i] {
			i++ // "-d" "GPU"
		}
		start := i
		if i = skipBlanks(s, i); i == start {
			return value{}, false
		}
	}
	if quote := quoteAt(s, i); quote != "" {
		v.from = i + len(quote)
		n := strings.Index(s[v.from:min(v.from+longestDevice, len(s))], quote)
		if n < 0 {
			return value{}, false
		}
		v.to = v.from + n
		v.end = v.to + len(quote)
	} else {
		v.bare = true
		v.from, v.to = i, bareEnd(s, i)
		v.end = v.to
	}
	if !isDevice(s[v.from:v.to], l.profile) || !endsWord(s, v.end) {
		return value{}, false
	}
	// In app "--device=GPU", the quotes are the word's, not the value's.
	if assigned && v.bare && flag > 0 && isQuote(s[flag-1]) && v.end < len(s) && s[v.end] == s[flag-1] &&
		(flag == 1 || isBlank(s[flag-2])) {
		v.end++
	}
	return v, true
}

// longestDevice bounds, in bytes, how far the end of a value is looked for, so
// that the time stays linear in the length of a hostile script.
const longestDevice = 256

// bareEnd returns the end of the unquoted value that begins at s[i]. A closing
// parenthesis ends it, $(app -d GPU), unless one was opened, GPU(4).
func bareEnd(s string, i int) int {
	s = s[:min(i+longestDevice, len(s))]
	opened := false
	for ; i < len(s); i++ {
		switch c := s[i]; c {
		case ' ', '\t', '\r', '\n', '"', '\'', '`', '$', '\\', ';', '|', '&', '<', '>':
			return i
		case '(':
			opened = true
		case ')':
			if !opened {
				return i
			}
			opened = false
		}
	}
	return i
}

// startsWord reports whether a word can begin at s[i].
func startsWord(s string, i int) bool {
	return i == 0 || isBreak(s[i-1]) || isQuote(s[i-1]) || s[i-1] == '('
}

// endsWord reports whether a word can end before s[i]. A quote ends it only
// when the word does not go on behind: not in GPU"ish".
func endsWord(s string, i int) bool {
	if i == len(s) || isBreak(s[i]) {
		return true
	}
	if s[i] == '\\' && lineContinues(s, i) > 0 {
		return true
	}
	quote := quoteAt(s, i)
	if quote == "" {
		return false
	}
	i += len(quote)
	return i == len(s) || isBreak(s[i]) || isQuote(s[i]) || strings.IndexByte(`\,]}`, s[i]) >= 0
}

// quoteAt returns the quote at s[i] with the backslashes that escape it, or "".
func quoteAt(s string, i int) string {
	n := i
	for n < len(s) && s[n] == '\\' {
		n++
	}
	if n < len(s) && isQuote(s[n]) {
		return s[i : n+1]
	}
	return ""
}

// skipBlanks returns the first place from i on that is neither a space or tab
// nor an escaped line end.
func skipBlanks(s string, i int) int {
	for i < len(s) {
		switch {
		case s[i] == ' ' || s[i] == '\t':
			i++
		case s[i] == '\\' && lineContinues(s, i) > 0:
			i += lineContinues(s, i)
		default:
			return i
		}
	}
	return i
}

// lineContinues returns the length of the escaped line end at s[i], or 0.
func lineContinues(s string, i int) int {
	switch {
	case strings.HasPrefix(s[i:], "\\\n"):
		return 2
	case strings.HasPrefix(s[i:], "\\\r\n"):
		return 3
	}
	return 0
}

func isQuote(c byte) bool { return c == '"' || c == '\'' }

func isBlank(c byte) bool { return c == ' ' || c == '\t' || c == '\n' || c == '\r' }

// isBreak reports whether c ends a word in a shell.
func isBreak(c byte) bool {
	return isBlank(c) || strings.IndexByte(";|&<>)`", c) >= 0
}

// shellWord quotes s when a shell would not read it as one plain word.
func shellWord(s string) string {
	plain := func(r rune) bool {
		return r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || strings.ContainsRune("_.:,-+=/@%", r)
	}
	if s != "" && strings.IndexFunc(s, func(r rune) bool { return !plain(r) }) < 0 {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}
