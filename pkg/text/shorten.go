package text

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
)

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

// Digested returns s if it has at most limit bytes, and else the digest of it, 64
// hexadecimal digits of SHA-256: equal for equal texts alone, but not to be read.
func Digested(s string, limit int) string {
	if len(s) <= limit {
		return s
	}
	sum := sha256.Sum256([]byte(s))
	return hex.EncodeToString(sum[:])
}
