package world

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"heteroaccel.io/e2e/research/fleet"
)

// TestDeadlines: the paper's four cameras wait for a fast kind rather than take the CPU,
// on which every run misses the deadline; that is worth throughput, and nothing is lost
// for it or moved to and fro.
func TestDeadlines(t *testing.T) {
	const slack = 5
	for _, name := range []string{"idle-first", "priced-finish"} {
		for _, again := range []*Readmit{nil, readmitting} {
			what := fmt.Sprintf("%s, readmission %t", name, again != nil)
			c := Config{Fleet: fleet.Paper(20), Cameras: 4, Spread: .3, Horizon: 3 * time.Hour, Seed: 1, Policy: named(t, name), Readmit: again}
			without := run(t, c)
			c.Slack = slack
			with := run(t, c)
			if got, before := with.Missed(slack), without.Missed(slack); got > before/4 {
				t.Errorf("%s: %.3f miss a deadline that is known, %.3f one that is not", what, got, before)
			}
			if with.P99 > without.P99*2/3 || with.Throughput < .75*without.Throughput {
				t.Errorf("%s: p99 %v and %.2f/s with, %v and %.2f/s without", what, with.P99, with.Throughput, without.P99, without.Throughput)
			}
			if with.Ended+with.Running+with.Waiting != with.Arrivals {
				t.Errorf("%s: %d arrived; %d ended, %d run, %d wait", what, with.Arrivals, with.Ended, with.Running, with.Waiting)
			}
			if again != nil {
				churn(t, what, c)
			}
		}
	}
}

// TestFarDeadline: a deadline that nobody can miss changes nothing.
func TestFarDeadline(t *testing.T) {
	c := at(t, "sparse", 40, .95, 20)
	c.Spread, c.Readmit = .3, readmitting
	without := run(t, c)
	c.Slack = 1e6
	if diff := cmp.Diff(without, run(t, c), cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("it differs (-without +with):\n%s", diff)
	}
}

func TestMissed(t *testing.T) {
	r := Result{Slowdowns: []float64{1, 2, 2, 5}}
	for slack, want := range map[float64]float64{.5: 1, 1: .75, 2: .25, 4.9: .25, 5: 0} {
		if got := r.Missed(slack); got != want {
			t.Errorf("of %v, %v miss %v, want %v", r.Slowdowns, got, slack, want)
		}
	}
	if got := (Result{}).Missed(1); got != 0 {
		t.Errorf("of none, %v miss it", got)
	}
}
