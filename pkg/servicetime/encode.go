package servicetime

import (
	"strings"
	"time"
)

// Encode writes runs as they are kept: "80ms 1.2s", oldest first.
func Encode(recent []time.Duration) string {
	words := make([]string, len(recent))
	for i, took := range recent {
		words[i] = took.String()
	}
	return strings.Join(words, " ")
}

// Decode reads what Encode wrote. A word that is no duration is left out, and
// of more than Window the latest are taken: a status that somebody edited may
// cost us runs, and never a decision.
func Decode(s string) []time.Duration {
	var recent []time.Duration
	for word := range strings.FieldsSeq(s) {
		if took, err := time.ParseDuration(word); err == nil {
			recent = append(recent, bounded(took))
		}
	}
	return recent[max(0, len(recent)-Window):]
}
