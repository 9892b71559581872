package text

import "strings"

const ellipsis = "…"

// Shorten returns s if it has at most limit bytes, and else the beginning of it
// with an ellipsis, limit bytes in all at most and cut between runes. limit is at
// least the 3 bytes of the ellipsis. What is cut shares no memory with s.
func Shorten(s string, limit int) string {
	if len(s) <= limit {
		return s
	}
	return strings.ToValidUTF8(s[:limit-len(ellipsis)], "") + ellipsis
}
