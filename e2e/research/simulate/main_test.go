package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestRun runs all of it on a small scale.
func TestRun(t *testing.T) {
	s := settings{seed: 1, slots: 12, types: 5, turns: 2, draws: 1, mixes: []string{"random"}, loads: []float64{.5, 1.2}, largest: 100, day: time.Hour, ready: 2 * time.Second, failing: time.Hour, parts: partNames(), out: t.TempDir()}
	var out strings.Builder
	if err := run(s, &out); err != nil {
		t.Fatal(err)
	}
	for _, p := range contestants {
		if !strings.Contains(out.String(), p.name) {
			t.Errorf("no word of %s", p.name)
		}
	}
	for _, m := range moving {
		if !strings.Contains(out.String(), m.name) {
			t.Errorf("no word of servers of which are moved: %s", m.name)
		}
	}
	for name, line := range map[string]string{
		"random-throughput.svg": "priced-finish", "random-p99.svg": "priced-finish", "decision-cost.svg": "priced-finish",
		"deadlines-cameras-4-20.svg": "none to tight", "deadlines-random-1.2-100.svg": "none to tight",
	} {
		svg, err := os.ReadFile(filepath.Join(s.out, name))
		if err != nil || !strings.Contains(string(svg), line) {
			t.Errorf("%s: %v, %d bytes", name, err, len(svg))
		}
	}
	s.mixes = []string{"none"}
	if run(s, &out) == nil {
		t.Error("a mix that there is not: no error")
	}
}
