package conventions

import (
	"strings"
	"testing"
)

// longest is how many lines a Go file may have.
const longest = 300

// mayBeLonger lists the files that may have more, and why.
var mayBeLonger = map[string]string{}

func TestNoFileIsLong(t *testing.T) {
	lines := map[string]int{}
	for _, s := range sources(t) {
		n := strings.Count(read(t, s.path), "\n")
		lines[s.path] = n
		if mayBeLonger[s.path] == "" && n > longest {
			t.Errorf("%s has %d lines, more than %d: split it by what it does, or list a reason", s.path, n, longest)
		}
	}
	for path, why := range mayBeLonger {
		if lines[path] <= longest {
			t.Errorf("%s has %d lines: take it off the list of the longer files (%s)", path, lines[path], why)
		}
	}
}
