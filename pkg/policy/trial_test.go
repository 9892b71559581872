package policy

import (
	"slices"
	"testing"
	"time"

	"heteroaccel.io/pkg/inventory"
	"heteroaccel.io/pkg/servicetime"
)

// ran sets how many runs were timed, the latest a minute ago, and allows a trial.
func ran(n int64) func(*inventory.Candidate) {
	return func(c *inventory.Candidate) {
		c.Timed = servicetime.Timed{Runs: n, Recent: int(min(n, servicetime.Window)), Age: time.Minute}
		if n > 0 {
			c.Timed.Least = c.Service
		}
		c.TrialHistory = inventory.TrialHistory{Allowed: true, PodsSinceTrial: 1000, PodsSinceKind: 1000}
	}
}

func least(d time.Duration) func(*inventory.Candidate) {
	return func(c *inventory.Candidate) { c.Timed.Least = d }
}

// hinted sets the profile's hint; few timed runs stand beside it, many replace it.
func hinted(d time.Duration) func(*inventory.Candidate) {
	return func(c *inventory.Candidate) {
		if c.Hint, c.Basis = d, servicetime.Learned; c.Timed.Recent < servicetime.MinRuns {
			c.Basis = servicetime.Hinted
		}
	}
}

func change(f func(*inventory.Candidate)) func(*inventory.Candidate) { return f }

func TestTrials(t *testing.T) {
	const s = time.Second
	gpu := kind("GPU", 0, s, ran(100))
	tests := map[string]struct {
		candidates []inventory.Candidate
		want       string
		trial      Trial
	}{
		"never timed": {
			[]inventory.Candidate{gpu, kind("CPU", 1, 6*s, ran(0))}, "CPU GPU", FirstTrial,
		},
		"timed once, and slower": {
			[]inventory.Candidate{gpu, kind("CPU", 1, 6*s, ran(1))}, "GPU CPU", NoTrial,
		},
		"timed often, and slower": {
			[]inventory.Candidate{gpu, kind("CPU", 1, 6*s, ran(50))}, "GPU CPU", NoTrial,
		},
		"a hint that a run spoke against": {
			[]inventory.Candidate{kind("CPU", 0, 3*s, ran(9)), kind("GPU", 1, 30*s, ran(1), least(s/2))}, "GPU CPU", AnotherTrial,
		},
		"a hint that three runs spoke against is none any more": {
			[]inventory.Candidate{kind("CPU", 0, 3*s, ran(9)), kind("GPU", 1, s/2, ran(3))}, "GPU CPU", NoTrial,
		},
		"the latest runs are shorter": {
			[]inventory.Candidate{gpu, kind("NPU", 1, 20*s, ran(30), least(s/2))}, "NPU GPU", AnotherTrial,
		},
		"the latest runs are shorter, and still too long": {
			[]inventory.Candidate{gpu, kind("NPU", 1, 20*s, ran(30), least(2*s))}, "GPU NPU", NoTrial,
		},
		"old": {
			[]inventory.Candidate{gpu, kind("NPU", 1, 2*s, ran(50), change(func(c *inventory.Candidate) { c.Timed.Age = servicetime.StaleAfter + s }))}, "NPU GPU", OldTrial,
		},
		"old, and used a moment ago": {
			[]inventory.Candidate{gpu, kind("NPU", 1, 2*s, ran(50), change(func(c *inventory.Candidate) {
				c.Timed.Age, c.TrialHistory.PodsSinceKind = servicetime.StaleAfter+s, staleInterval-1
			}))}, "GPU NPU", NoTrial,
		},
		"a server teaches nothing": {
			[]inventory.Candidate{gpu, kind("CPU", 1, 6*s)}, "GPU CPU", NoTrial,
		},
		"another pod was tried a moment ago": {
			[]inventory.Candidate{gpu, kind("CPU", 1, 6*s, ran(0), change(func(c *inventory.Candidate) { c.TrialHistory.PodsSinceTrial = trialInterval - 1 }))}, "GPU CPU", NoTrial,
		},
		"the last one there has not been timed": {
			[]inventory.Candidate{gpu, kind("CPU", 1, 6*s, ran(0), change(func(c *inventory.Candidate) {
				c.TrialHistory.Untimed, c.TrialHistory.PodsSinceKind = true, untimedFactor*trialInterval-1
			}))}, "GPU CPU", NoTrial,
		},
		"the last one there has not been timed for long": {
			[]inventory.Candidate{gpu, kind("CPU", 1, 6*s, ran(0), change(func(c *inventory.Candidate) {
				c.TrialHistory.Untimed, c.TrialHistory.PodsSinceKind = true, untimedFactor*trialInterval
			}))}, "CPU GPU", FirstTrial,
		},
		"not idle": {
			[]inventory.Candidate{gpu, kind("CPU", 1, 6*s, ran(0), takenFor(s))}, "GPU CPU", NoTrial,
		},
		"claimed": {
			[]inventory.Candidate{gpu, kind("CPU", 1, 6*s, ran(0), claimed(1))}, "GPU CPU", NoTrial,
		},
		"over quota": {
			[]inventory.Candidate{gpu, kind("CPU", 1, 6*s, ran(0), refused)}, "GPU CPU", NoTrial,
		},
		"nowhere": {
			[]inventory.Candidate{gpu, kind("CPU", 1, 6*s, ran(0), nowhere)}, "GPU CPU", NoTrial,
		},
		"too dear so far": { // (21 + 1) / (1 + 1) = 11
			[]inventory.Candidate{kind("GPU", 0, s, ran(10)), kind("CPU", 1, 21*s, ran(0))}, "GPU CPU", NoTrial,
		},
		"no longer too dear": {
			[]inventory.Candidate{kind("GPU", 0, s, ran(11)), kind("CPU", 1, 21*s, ran(0))}, "CPU GPU", FirstTrial,
		},
		"nothing was timed at all": {
			[]inventory.Candidate{kind("GPU", 0, s, ran(0)), kind("CPU", 1, s, ran(0))}, "GPU CPU", NoTrial,
		},
		"hints that were right so far are trusted for long": {
			[]inventory.Candidate{kind("GPU", 0, s, ran(31), hinted(s)), kind("NPU", 1, 3*s, ran(0), hinted(3*s))}, "GPU NPU", NoTrial,
		},
		"but not for ever": { // 16 · (3 + 1) / (1 + 1) = 32
			[]inventory.Candidate{kind("GPU", 0, s, ran(32), hinted(s)), kind("NPU", 1, 3*s, ran(0), hinted(3*s))}, "NPU GPU", FirstTrial,
		},
		"beside one that was wrong they are not": {
			[]inventory.Candidate{kind("GPU", 0, s, ran(4), hinted(s/2)), kind("NPU", 1, 3*s, ran(0), hinted(3*s))}, "NPU GPU", FirstTrial,
		},
		"one that a run contradicted is not trusted": {
			[]inventory.Candidate{kind("GPU", 0, s, ran(31), hinted(s)), kind("NPU", 1, 3*s, ran(1), least(s/2), hinted(3*s))}, "NPU GPU", AnotherTrial,
		},
		"what has no hint is not trusted beside them": {
			[]inventory.Candidate{kind("GPU", 0, s, ran(4), hinted(s)), kind("NPU", 1, 3*s, ran(0))}, "NPU GPU", FirstTrial,
		},
		"nobody waits beside what was only guessed": {
			[]inventory.Candidate{kind("GPU", 0, s, ran(1), takenFor(s)), kind("CPU", 1, 30*s, ran(0), change(func(c *inventory.Candidate) { c.TrialHistory.PodsSinceTrial = 0 }))}, "CPU GPU", FirstTrial,
		},
		"but where a run is expected to take much longer": { // 41 / (2 + 2) > 10
			[]inventory.Candidate{kind("GPU", 0, s, ran(1), takenFor(s)), kind("CPU", 1, 40*s, ran(0), change(func(c *inventory.Candidate) { c.TrialHistory.PodsSinceTrial = 0 }))}, "GPU CPU", NoTrial,
		},
		"or whoever wrote the profile says that it does": {
			[]inventory.Candidate{kind("GPU", 0, s, ran(1), takenFor(s)), kind("CPU", 1, 30*s, ran(0), change(func(c *inventory.Candidate) { c.TrialHistory.PodsSinceTrial, c.Basis = 0, servicetime.Speed }))}, "GPU CPU", NoTrial,
		},
		"but one at a time": {
			[]inventory.Candidate{kind("GPU", 0, s, ran(1), takenFor(s)), kind("CPU", 1, 30*s, ran(0), change(func(c *inventory.Candidate) { c.TrialHistory.PodsSinceTrial, c.TrialHistory.Untimed = 0, true }))}, "GPU CPU", NoTrial,
		},
		"a hint is worth waiting for": {
			[]inventory.Candidate{kind("GPU", 0, s, ran(1), takenFor(s)), kind("CPU", 1, time.Hour, ran(0), hinted(time.Hour))}, "GPU CPU", NoTrial,
		},
		"where it would go was never timed either": {
			[]inventory.Candidate{kind("GPU", 0, s, ran(0)), kind("NPU", 1, 3*s, ran(40)), kind("CPU", 2, 4*s, ran(0))}, "GPU NPU CPU", NoTrial,
		},
		"the cheapest of those that were never timed": {
			[]inventory.Candidate{gpu, kind("CPU", 1, 9*s, ran(0)), kind("NPU", 2, 3*s, ran(0))}, "NPU GPU CPU", FirstTrial,
		},
		"instead of waiting": {
			[]inventory.Candidate{kind("GPU", 0, s, ran(50), takenFor(s/10)), kind("CPU", 1, 60*s, ran(0))}, "CPU GPU", FirstTrial,
		},
		"one of one": {[]inventory.Candidate{gpu}, "GPU", NoTrial},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			for _, policy := range []string{"earliest-finish", "priced-finish"} {
				ranked := policies[policy](slices.Clone(tt.candidates))
				if got := kindsOf(ranked); got != tt.want || ranked[0].Trial != tt.trial {
					t.Errorf("%s: got %s, trial %d; want %s, trial %d", policy, got, ranked[0].Trial, tt.want, tt.trial)
				}
				for _, r := range ranked[1:] {
					if r.Trial != NoTrial {
						t.Errorf("%s: a trial on %s, which was not chosen", policy, r.Kind)
					}
				}
			}
			if r := IdleFirst(tt.candidates)[0]; r.Trial != NoTrial {
				t.Errorf("idle-first, which does not go by times, tries %s", r.Kind)
			}
		})
	}
}

func TestPause(t *testing.T) {
	for name, tt := range map[string]struct {
		try  inventory.TrialHistory
		want int64
	}{
		"none yet":          {inventory.TrialHistory{}, 4},
		"the second":        {inventory.TrialHistory{Trials: 1}, 4},
		"the third":         {inventory.TrialHistory{Trials: 2}, 4},
		"the fourth":        {inventory.TrialHistory{Trials: 3}, 8},
		"the fifth":         {inventory.TrialHistory{Trials: 4}, 16},
		"the hundredth":     {inventory.TrialHistory{Trials: 99}, 64},
		"one that runs yet": {inventory.TrialHistory{Trials: 1, Untimed: true}, 16},
		"ever failing":      {inventory.TrialHistory{Trials: 1 << 62, Untimed: true}, 256},
	} {
		if got := trialPause(Ranked{Candidate: inventory.Candidate{Option: inventory.Option{TrialHistory: tt.try}}}); got != tt.want {
			t.Errorf("%s: %d pods, want %d", name, got, tt.want)
		}
	}
}

// TestPriorBeatsPrices: among kinds of unknown times, no pod leaves the first idle
// one to others because it is scarce, whether it is a server or not.
func TestPriorBeatsPrices(t *testing.T) {
	times := servicetime.Complete(make([]time.Duration, 3), servicetime.RelativeTimes(make([]float64, 3)))
	for slots := int64(1); slots < 200; slots++ {
		cs := []inventory.Candidate{
			kind("CPU", 0, times[2], pool(10_000, 10_000)), kind("NPU", 0, times[1], pool(10_000, 10_000)), kind("GPU", 0, times[0], pool(slots, 1)),
		}
		if got := kindsOf(PricedFinish(cs)); got != "GPU NPU CPU" {
			t.Fatalf("with 1 of %d GPUs free: %s", slots, got)
		}
	}
}

func TestExplainPriors(t *testing.T) {
	const s = time.Second
	by := func(b servicetime.Basis) func(*inventory.Candidate) {
		return func(c *inventory.Candidate) { c.Basis = b }
	}
	two := func(c *inventory.Candidate) { c.Total, c.Usable = 2, 2 }
	tests := map[string]struct {
		candidates []inventory.Candidate
		want       string
	}{
		"the first of the order": {
			[]inventory.Candidate{kind("GPU", 0, s, two, by(servicetime.ProfileOrder)), kind("CPU", 1, 3*s, by(servicetime.ProfileOrder))},
			"GPU is free (2 of 2), not timed yet, expected first by the profile's order; CPU free, not timed yet",
		},
		"the next of the order": {
			[]inventory.Candidate{kind("GPU", 0, s, by(servicetime.ProfileOrder), takenFor(time.Minute)), kind("NPU", 1, 3*s, by(servicetime.ProfileOrder))},
			"NPU is free (1 of 1), not timed yet, 3s expected by the profile's order; GPU taken (0 of 1 free), 1m",
		},
		"where there is no other": {
			[]inventory.Candidate{kind("GPU", 0, s, by(servicetime.ProfileOrder), nowhere), kind("NPU", 1, 3*s, by(servicetime.ProfileOrder))},
			"NPU is free (1 of 1), not timed yet, expected first by the profile's order; no GPU",
		},
		"by the pod's order": {
			[]inventory.Candidate{kind("NPU", 0, s, by(servicetime.PodOrder)), kind("GPU", 1, 3*s, by(servicetime.PodOrder))},
			"NPU is free (1 of 1), not timed yet, expected first by the pod's order; GPU free, not timed yet",
		},
		"by speeds, beside a time": {
			[]inventory.Candidate{kind("GPU", 0, s, by(servicetime.Speed)), kind("CPU", 1, 6*s, by(servicetime.Learned))},
			"GPU is free (1 of 1), not timed yet, expected first by the profile's speeds; CPU free, 6s",
		},
		"tried once": {
			[]inventory.Candidate{kind("GPU", 0, s, ran(9), by(servicetime.Learned)), kind("CPU", 1, 3*s, ran(0), by(servicetime.ProfileOrder))},
			"CPU is free (1 of 1), tried once to learn how long a run takes there; GPU free, 1s",
		},
		"tried again": {
			[]inventory.Candidate{kind("CPU", 0, 3*s, ran(9), by(servicetime.Learned)), kind("GPU", 1, 20*s, ran(1), least(s/2), by(servicetime.Hinted))},
			"GPU is free (1 of 1), tried again to learn how long a run takes there: of the last ones one took 500ms, 20s is expected; CPU free, 3s",
		},
		"long ago": {
			[]inventory.Candidate{kind("GPU", 0, s, ran(9)), kind("CPU", 1, 3*s, ran(9), change(func(c *inventory.Candidate) { c.Timed.Age = 30 * time.Hour }))},
			"CPU is free (1 of 1), tried again: its last run was 30h0m ago; GPU free, 1s",
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			for _, policy := range []Policy{EarliestFinish, PricedFinish} {
				if got := Explain(policy(tt.candidates)); got != tt.want {
					t.Errorf("got  %s\nwant %s", got, tt.want)
				}
			}
		})
	}
}
