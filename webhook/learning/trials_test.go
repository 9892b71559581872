package learning_test

import (
	"fmt"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"heteroaccel.io/pkg/accel"
	"heteroaccel.io/pkg/inventory"
	"heteroaccel.io/pkg/policy"
	"heteroaccel.io/pkg/servicetime"
	"heteroaccel.io/webhook/learning"
)

func candidate(k accel.Kind, runs int64) inventory.Candidate {
	return inventory.Candidate{Option: inventory.Option{Kind: k, Timed: servicetime.Timed{Runs: runs}}}
}

// offered are the counts of a GPU and a CPU of which so many runs were timed.
func offered(b *learning.Trials, inference string, gpu, cpu int64) [2]inventory.TrialHistory {
	cs := []inventory.Candidate{candidate("GPU", gpu), candidate("CPU", cpu)}
	b.Allow(inference, cs)
	return [2]inventory.TrialHistory{cs[0].TrialHistory, cs[1].TrialHistory}
}

func TestTrials(t *testing.T) {
	b := learning.NewTrials()
	to := func(k accel.Kind, runs int64, why policy.Trial) {
		b.Record("face", policy.Ranked{Candidate: candidate(k, runs), Trial: why})
	}
	want := func(when string, gpu, cpu int64, want [2]inventory.TrialHistory) {
		t.Helper()
		if diff := cmp.Diff(want, offered(b, "face", gpu, cpu)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", when, diff)
		}
	}
	want("at first", 0, 0, [2]inventory.TrialHistory{{Allowed: true}, {Allowed: true}})
	to("GPU", 0, policy.NoTrial)
	want("one runs", 0, 0, [2]inventory.TrialHistory{{Allowed: true, PodsSinceTrial: 1, Untimed: true}, {Allowed: true, PodsSinceTrial: 1, PodsSinceKind: 1}})
	want("it was timed", 1, 0, [2]inventory.TrialHistory{{Allowed: true, PodsSinceTrial: 1}, {Allowed: true, PodsSinceTrial: 1, PodsSinceKind: 1}})
	to("GPU", 1, policy.NoTrial)
	to("CPU", 0, policy.FirstTrial)
	want("one is tried", 2, 0, [2]inventory.TrialHistory{{Allowed: true}, {Allowed: true, Trials: 1, Untimed: true}})
	to("GPU", 2, policy.NoTrial)
	want("and another came", 3, 1, [2]inventory.TrialHistory{{Allowed: true, PodsSinceTrial: 1}, {Allowed: true, PodsSinceTrial: 1, PodsSinceKind: 1, Trials: 1}})
	if diff := cmp.Diff([2]inventory.TrialHistory{{Allowed: true}, {Allowed: true}}, offered(b, "other", 0, 0)); diff != "" {
		t.Errorf("another inference (-want +got):\n%s", diff)
	}
}

// TestTrialsAreBounded: profiles that come and go fill no memory, and those that
// are counted anew are tried no sooner for it.
func TestTrialsAreBounded(t *testing.T) {
	b := learning.NewTrials()
	for i := range 10_000 {
		b.Record(fmt.Sprint("p", i), policy.Ranked{Candidate: candidate("GPU", 0)})
	}
	if got := offered(b, "p0", 0, 0)[0]; got.PodsSinceTrial != 0 || got.PodsSinceKind != 0 {
		t.Errorf("the first of 10,000 is remembered: %+v", got)
	}
	if got := offered(b, "p9999", 0, 0)[0]; got.PodsSinceTrial != 1 {
		t.Errorf("the last is forgotten: %+v", got)
	}
}

// TestTrialsAtOnce is for the race detector.
func TestTrialsAtOnce(t *testing.T) {
	b := learning.NewTrials()
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 500 {
				offered(b, "face", 0, 0)
				b.Record("face", policy.Ranked{Candidate: candidate("GPU", 0)})
			}
		})
	}
	wg.Wait()
	if got := offered(b, "face", 0, 0)[0].PodsSinceTrial; got != 4000 {
		t.Errorf("%d pods, want 4000", got)
	}
}
