//go:build long

package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"heteroaccel.io/e2e/bench/report"
)

// TestBench: a short run measures every load each way.
func TestBench(t *testing.T) {
	file := filepath.Join(t.TempDir(), "deep", "bench.json")
	s, err := parse([]string{"-nodes", "5", "-pods", "40", "-rounds", "1", "-latency", "5", "-json", file}, os.Stderr)
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	if err := measure(t.Context(), s, &out); err != nil {
		t.Fatalf("%v\n%s", err, &out)
	}
	t.Log(out.String())
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var run report.Run
	if err := json.Unmarshal(data, &run); err != nil {
		t.Fatal(err)
	}
	if len(run.Rounds) != 17 || len(run.Latencies) != 4 {
		t.Fatalf("%d rounds and %d latencies, want nine loads, eight of them by hand too, and both ways one at a time, early and late", len(run.Rounds), len(run.Latencies))
	}
	for _, r := range run.Rounds {
		if r.Bound <= 0 || r.Created <= 0 || r.CPU["kube-scheduler"] <= 0 || r.Requests["POST pods"] < 1 {
			t.Errorf("%s %s has no measurement: %+v", r.Load, r.Way, r)
		}
	}
	for _, l := range run.Latencies {
		if l.P50 <= 0 || l.P99 < l.P50 {
			t.Errorf("%+v", l)
		}
	}
}
