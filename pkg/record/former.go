package record

import (
	"crypto/hmac"
	"crypto/sha256"
	"io"
	"strings"
)

// Before keys could be rotated there was one, and what it sealed did not name it. That
// key is in the Secret still, and pods outlive an upgrade: a code without an id verifies
// with each key.

// formerVersion stands in the place of version in the records of then. Their content is
// read as that of today's.
const formerVersion = "heteroaccel.io/original.v2"

// isFormer reports whether a code names no key: base64 has no dot.
func isFormer(code string) bool { return !strings.Contains(code, ".") }

func (k *Keys) byFormer(c string, parts []string) *sealingKey {
	if k == nil || c == "" {
		return nil
	}
	for i := range k.all {
		if hmac.Equal([]byte(c), []byte(code(k.all[i].secret, parts...))) {
			return &k.all[i]
		}
	}
	return nil
}

// Sums are the HMAC-SHA-256 of a text with each key, 32 bytes each: pods that were
// released from their Jobs were marked with one.
func (k *Keys) Sums(text string) [][]byte {
	if k == nil {
		return nil
	}
	sums := make([][]byte, len(k.all))
	for i := range k.all {
		h := hmac.New(sha256.New, k.all[i].secret)
		_, _ = io.WriteString(h, text) // a hash never fails
		sums[i] = h.Sum(nil)
	}
	return sums
}
