package servicetime

import (
	"strings"
	"time"
)

// Encode writes the latest runs for a profile's status: "80ms 1.2s", oldest
// first.
func Encode(recent []time.Duration) string {
	words := make([]string, len(recent))
	for i, took := range recent {
		words[i] = took.String()
	}
	return strings.Join(words, " ")
}

// Decode reads what Encode wrote. It skips what is not a duration, and of more
// than Window runs takes the latest: a status that somebody edited may lose runs,
// but never fails a decision.
func Decode(s string) []time.Duration {
	var recent []time.Duration
	for word := range strings.FieldsSeq(s) {
		if took, err := time.ParseDuration(word); err == nil {
			recent = append(recent, bounded(took))
		}
	}
	return recent[max(0, len(recent)-Window):]
}
