package deviceflag

import "strings"

// maxDeviceLength bounds, in bytes, how far the end of a value is searched, so
// that the time stays linear in the length of a hostile script.
const maxDeviceLength = 256

// bareEnd returns the end of the unquoted value that begins at s[i]. A closing
// parenthesis ends it, $(app -d GPU), unless one was opened, GPU(4).
func bareEnd(s string, i int) int {
	s = s[:min(i+maxDeviceLength, len(s))]
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

// endsWord reports whether a word can end before s[i]. A quote ends it only when
// the word does not continue behind it: not in GPU"ish".
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

// shellWords is words as a script has them, with a space before each.
func shellWords(words []string) string {
	var b strings.Builder
	for _, w := range words {
		b.WriteByte(' ')
		b.WriteString(shellWord(w))
	}
	return b.String()
}
