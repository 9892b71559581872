package text

import (
	"strings"
	"testing"
	"unicode/utf8"
)

func TestShorten(t *testing.T) {
	for name, tt := range map[string]struct {
		s     string
		limit int
		want  string
	}{
		"empty":            {"", 3, ""},
		"as long":          {"abcd", 4, "abcd"},
		"longer":           {"abcdef", 5, "ab…"},
		"between runes":    {"éééé", 6, "é…"},
		"in a rune":        {"aéééé", 7, "aé…"},
		"the least":        {"abcd", 3, "…"},
		"invalid, not cut": {"\xff", 3, "\xff"},
		"invalid, cut":     {"a\xffbcdefg", 6, "ab…"},
		"a megabyte":       {strings.Repeat("x", 1<<20), 10, "xxxxxxx…"},
	} {
		t.Run(name, func(t *testing.T) {
			got := Shorten(tt.s, tt.limit)
			if got != tt.want || len(got) > tt.limit || len(tt.s) > tt.limit && !utf8.ValidString(got) {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}
