package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestRun runs all of it on a small scale.
func TestRun(t *testing.T) {
	s := settings{seed: 1, slots: 12, types: 5, turns: 2, draws: 1, mixes: []string{"random"}, loads: []float64{.5, 1.2}, largest: 100, out: t.TempDir()}
	var out strings.Builder
	if err := run(s, &out); err != nil {
		t.Fatal(err)
	}
	for _, p := range contestants {
		if !strings.Contains(out.String(), p.name) {
			t.Errorf("no word of %s", p.name)
		}
	}
	for _, name := range []string{"random-throughput.svg", "random-p99.svg", "decision-cost.svg"} {
		svg, err := os.ReadFile(filepath.Join(s.out, name))
		if err != nil || !strings.Contains(string(svg), "priced-finish") {
			t.Errorf("%s: %v, %d bytes", name, err, len(svg))
		}
	}
	s.mixes = []string{"none"}
	if run(s, &out) == nil {
		t.Error("a mix that there is not: no error")
	}
}
