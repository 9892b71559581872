package servetest

import "strings"

// CorrectEscapes returns a JSON text in whose strings every backslash that starts no
// escape of JSON is escaped itself, and every control character is a space: what a
// decoder that does not look at those reads the text as.
func CorrectEscapes(text []byte) []byte {
	out := make([]byte, 0, len(text)+8)
	inString := false
	for i := 0; i < len(text); i++ {
		c := text[i]
		switch {
		case !inString:
			inString = c == '"'
		case c == '"':
			inString = false
		case c < ' ':
			c = ' '
		case c == '\\' && escapes(text[i+1:]):
			out = append(out, c)
			i++
			c = text[i]
		case c == '\\':
			out = append(out, '\\')
		}
		out = append(out, c)
	}
	return out
}

// escapes reports whether what follows a backslash makes an escape of it.
func escapes(rest []byte) bool {
	if len(rest) == 0 {
		return false
	}
	if rest[0] != 'u' {
		return strings.IndexByte(`"\/bfnrt`, rest[0]) >= 0
	}
	if len(rest) < 5 {
		return false
	}
	for _, c := range rest[1:5] {
		if !strings.ContainsRune("0123456789abcdefABCDEF", rune(c)) {
			return false
		}
	}
	return true
}
