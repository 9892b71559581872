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

func TestDigested(t *testing.T) {
	long := strings.Repeat("x", 65)
	for name, tt := range map[string]struct{ s, want string }{
		"empty":   {"", ""},
		"as long": {long[:64], long[:64]},
		"longer":  {long, "9537c5fdf120482f7d58d25e9ed583f52c02b4e304ea814db1633ad565aed7e9"},
	} {
		if got := Digested(tt.s, 64); got != tt.want {
			t.Errorf("%s: got %q, want %q", name, got, tt.want)
		}
	}
}
