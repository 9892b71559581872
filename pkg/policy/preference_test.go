package policy

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"heteroaccel.io/pkg/accel"
	"heteroaccel.io/pkg/inventory"
)

// near is a kind that is idle on the node edge-2, which the pod prefers.
func near(weight int) func(*inventory.Candidate) {
	return func(c *inventory.Candidate) { c.PreferredNode, c.PreferredWeight = "edge-2", weight }
}

func TestPreference(t *testing.T) {
	const s = time.Second
	tests := map[string]struct {
		candidates                  []inventory.Candidate
		idleFirst, earliest, priced string
	}{
		"alike": {
			[]inventory.Candidate{kind("GPU", 0, s), kind("NPU", 1, s, near(1))},
			"NPU GPU", "NPU GPU", "NPU GPU",
		},
		"elsewhere a hair better": {
			[]inventory.Candidate{kind("GPU", 0, 76*ms), kind("NPU", 1, 77*ms, near(100))},
			"NPU GPU", "NPU GPU", "NPU GPU",
		},
		"twice as fast elsewhere": {
			[]inventory.Candidate{kind("GPU", 0, s), kind("NPU", 1, 2*s, near(100))},
			"NPU GPU", "NPU GPU", "NPU GPU",
		},
		"more than twice as fast elsewhere": {
			[]inventory.Candidate{kind("GPU", 0, s), kind("CPU", 1, 2001*ms, near(100))},
			"GPU CPU", "GPU CPU", "GPU CPU",
		},
		"a fifth of a run for a weight of 20": {
			[]inventory.Candidate{kind("GPU", 0, s), kind("NPU", 1, 1190*ms, near(20)), kind("CPU", 2, 1210*ms, near(20))},
			"NPU GPU CPU", "NPU GPU CPU", "NPU GPU CPU",
		},
		"the first has it as well": {
			[]inventory.Candidate{kind("GPU", 0, s, near(100)), kind("NPU", 1, s, near(100))},
			"GPU NPU", "GPU NPU", "GPU NPU",
		},
		"the first has some of it: 30 are left": {
			[]inventory.Candidate{kind("GPU", 0, s, near(70)), kind("NPU", 1, 1290*ms, near(100)), kind("CPU", 2, 1310*ms, near(100))},
			"NPU GPU CPU", "NPU GPU CPU", "NPU GPU CPU",
		},
		"the most preferred of several": {
			[]inventory.Candidate{kind("GPU", 0, s), kind("NPU", 1, 1100*ms, near(50)), kind("FPGA", 2, 1200*ms, near(60))},
			"FPGA GPU NPU", "FPGA GPU NPU", "FPGA GPU NPU",
		},
		"the faster of two that are preferred alike": {
			[]inventory.Candidate{kind("GPU", 0, s), kind("NPU", 2, 1100*ms, near(50)), kind("FPGA", 1, 1200*ms, near(50))},
			"FPGA GPU NPU", "NPU GPU FPGA", "NPU GPU FPGA",
		},
		"busy nearby, idle elsewhere": {
			[]inventory.Candidate{kind("GPU", 0, s), kind("NPU", 1, s, near(100), takenFor(ms))},
			"GPU NPU", "GPU NPU", "GPU NPU",
		},
		"claimed nearby": {
			[]inventory.Candidate{kind("GPU", 0, s), kind("NPU", 1, s, near(100), claimed(1))},
			"GPU NPU", "GPU NPU", "GPU NPU",
		},
		"refused nearby": {
			[]inventory.Candidate{kind("GPU", 0, s), kind("NPU", 1, s, near(100), refused)},
			"GPU NPU", "GPU NPU", "GPU NPU",
		},
		// The GPU is done in 10 + 1 + 5 s; the CPU within 5 s more.
		"idle nearby, worth waiting elsewhere": {
			[]inventory.Candidate{kind("GPU", 0, 5*s, takenFor(10*s)), kind("CPU", 1, 18*s, near(100))},
			"CPU GPU", "CPU GPU", "CPU GPU",
		},
		"idle nearby, but slow": {
			[]inventory.Candidate{kind("GPU", 0, 5*s, takenFor(10*s)), kind("CPU", 1, 25*s, near(100))},
			"CPU GPU", "GPU CPU", "GPU CPU",
		},
		// Waiting for the GPU nearby is expected to be done sooner, and is nearby too.
		"what it waits for is preferred as well": {
			[]inventory.Candidate{kind("GPU", 0, 5*s, takenFor(10*s), near(100)), kind("CPU", 1, 18*s, near(100))},
			"CPU GPU", "GPU CPU", "GPU CPU",
		},
		// The last GPU is dear: 1.37 s against 1 s. It is worth that to the pod, and not
		// more than twice the time of a run elsewhere.
		"scarce nearby": {
			[]inventory.Candidate{kind("NPU", 0, s, pool(100, 100)), kind("GPU", 1, s, near(50))},
			"GPU NPU", "GPU NPU", "GPU NPU",
		},
		"so scarce that others need it more": {
			[]inventory.Candidate{kind("NPU", 0, s, pool(100, 100)), kind("GPU", 1, s, near(30))},
			"GPU NPU", "GPU NPU", "NPU GPU",
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			got := map[string]string{}
			for policy, rank := range policies {
				got[policy] = kindsOf(rank(slices.Clone(tt.candidates)))
			}
			want := map[string]string{"idle-first": tt.idleFirst, "earliest-finish": tt.earliest, "priced-finish": tt.priced}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// TestPreferenceIsBounded: whatever the pod prefers, it is done at most one run
// later than where it would be done first, or not later than without the
// preference; it waits for nothing that it would not have waited for; and the rest
// of the ranking stays as it is.
func TestPreferenceIsBounded(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 8))
	changed := map[string]int{}
	for range 3_000 {
		var candidates []inventory.Candidate
		for i, k := range []accel.Kind{"GPU", "NPU", "FPGA", "CPU"} {
			n := 1 + r.Int64N(5)
			c := kind(k, i, time.Duration(1+r.IntN(5000))*ms, pool(n, r.Int64N(n+1)), near(r.IntN(101)*r.IntN(2)))
			c.Queued = r.Int64N(3)
			candidates = append(candidates, c)
		}
		without := slices.Clone(candidates)
		for i := range without {
			without[i].PreferredNode, without[i].PreferredWeight = "", 0
		}
		for name, rank := range policies {
			got, plain := rank(slices.Clone(candidates)), rank(without)
			first := got[0]
			if first.Index == plain[0].Index {
				continue
			}
			changed[name]++
			if latest := max(plain[0].Finish, latestFinish(plain)); first.Wait > 0 || first.Finish > latest {
				t.Fatalf("%s: waits %s, done after %s, at the latest wanted %s: %+v", name, first.Wait, first.Finish, latest, candidates)
			}
			rest := slices.DeleteFunc(plain, func(r Ranked) bool { return r.Index == first.Index })
			if kindsOf(rest) != kindsOf(got[1:]) {
				t.Fatalf("%s: the rest is %s, want %s", name, kindsOf(got[1:]), kindsOf(rest))
			}
		}
	}
	if len(changed) != len(policies) {
		t.Errorf("choices that a preference changed: %v", changed)
	}
}

func TestExplainPreference(t *testing.T) {
	gpu := kind("GPU", 0, 76*ms)
	for name, tt := range map[string]struct {
		candidates []inventory.Candidate
		want       string
	}{
		"it decides": {
			[]inventory.Candidate{gpu, kind("NPU", 1, 100*ms, near(100), pool(4, 3)), kind("CPU", 2, 529*ms, near(100))},
			"NPU is free on edge-2, which it prefers (3 of 4 in all), a run takes 100ms; GPU free elsewhere, 76ms; CPU free, 529ms",
		},
		"it is too slow there": {
			[]inventory.Candidate{gpu, kind("CPU", 2, 529*ms, near(100))},
			"GPU is free (1 of 1), a run takes 76ms; CPU free on edge-2, which it prefers, 529ms",
		},
		"it is taken there": {
			[]inventory.Candidate{gpu, kind("NPU", 1, 100*ms, near(100), takenFor(40*time.Second))},
			"GPU is free (1 of 1), a run takes 76ms; NPU taken (0 of 1 free), 41.1s",
		},
		"the first choice is there anyway": {
			[]inventory.Candidate{kind("GPU", 0, 76*ms, near(100)), kind("NPU", 1, 146*ms)},
			"GPU is free on edge-2, which it prefers (1 of 1 in all), a run takes 76ms; NPU free elsewhere, 146ms",
		},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, Explain(PricedFinish(tt.candidates))); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}
