package choice

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"heteroaccel.io/pkg/accel"
	"heteroaccel.io/pkg/inventory"
	"heteroaccel.io/pkg/policy"
)

// near is on a node that the pod prefers, of a weight.
func near(weight int) func(*inventory.Candidate) {
	return func(c *inventory.Candidate) { c.PreferredNode, c.PreferredWeight = "edge-2", weight }
}

// TestBetterNearby: a pod that waits for the GPU goes where it prefers if it is
// enough sooner there, and else where it is enough sooner.
func TestBetterNearby(t *testing.T) {
	const second = time.Second
	// Expected to be done on the GPU in 1 + 1 + 2 s.
	busy := candidate("GPU", 1, 0, 2*second, ending(4*second, 5*second))
	for name, c := range map[string]struct {
		candidates []inventory.Candidate
		want       accel.Kind // "" to go on waiting
		gain       time.Duration
	}{
		"nearby rather than elsewhere": {
			[]inventory.Candidate{busy, candidate("NPU", 1, 1, 1500*time.Millisecond), candidate("FPGA", 1, 1, 2*second, near(100))},
			"FPGA", 2 * second,
		},
		"elsewhere, as nearby it is not enough sooner": {
			[]inventory.Candidate{busy, candidate("NPU", 1, 1, 2*second), candidate("FPGA", 1, 1, 3500*time.Millisecond, near(100))},
			"NPU", 2 * second,
		},
		"nowhere for the sake of the node alone": {
			[]inventory.Candidate{busy, candidate("FPGA", 1, 1, 3500*time.Millisecond, near(100))},
			"", 0,
		},
		"not away from what is usable": {
			[]inventory.Candidate{candidate("GPU", 2, 1, 2*second), candidate("FPGA", 1, 1, 2*second, near(100))},
			"", 0,
		},
	} {
		t.Run(name, func(t *testing.T) {
			for policyName, rank := range map[string]policy.Policy{"earliest-finish": policy.EarliestFinish, "priced-finish": policy.PricedFinish} {
				to, gain := first(Better(rank, c.candidates, "GPU", second))
				got := accel.Kind("")
				if to >= 0 {
					got = c.candidates[to].Kind
				}
				if got != c.want || gain != c.gain {
					t.Errorf("%s: %q with a gain of %s, want %q with %s", policyName, got, gain, c.want, c.gain)
				}
			}
		})
	}
}

// TestPreferenceNeitherHoldsNorMoves: a preference keeps no pod waiting that would
// go somewhere without it, and moves none that would not be done sooner by more
// than the margin. So no pod goes to and fro for the sake of a node: with each
// move it comes nearer to its end.
func TestPreferenceNeitherHoldsNorMoves(t *testing.T) {
	const margin = time.Second
	r := rand.New(rand.NewPCG(9, 10))
	otherwise := 0
	for range 3_000 {
		var candidates []inventory.Candidate
		for i, k := range []accel.Kind{"GPU", "NPU", accel.CPU} {
			total := 1 + r.Int64N(4)
			c := candidate(k, total, max(0, r.Int64N(2*total)-total), time.Duration(1+r.Int64N(20_000))*time.Millisecond, near(r.IntN(101)*r.IntN(2)))
			c.Rank = i
			if c.Usable == 0 {
				c.Queued, c.Ending = r.Int64N(3), 1
				c.Running = []inventory.Running{{Elapsed: time.Duration(r.Int64N(int64(c.Service))), Service: c.Service, Ends: true}}
			}
			candidates = append(candidates, c)
		}
		without := slices.Clone(candidates)
		for i := range without {
			without[i].PreferredNode, without[i].PreferredWeight = "", 0
		}
		for name, rank := range map[string]policy.Policy{"idle-first": policy.IdleFirst, "earliest-finish": policy.EarliestFinish, "priced-finish": policy.PricedFinish} {
			to, gain := first(Better(rank, candidates, "GPU", margin))
			plain, _ := first(Better(rank, without, "GPU", margin))
			if plain >= 0 && to < 0 {
				t.Fatalf("%s: waits for the GPU, and goes to %s without a preference: %+v", name, candidates[plain].Kind, candidates)
			}
			if to < 0 {
				continue
			}
			if to != plain {
				otherwise++
			}
			if gain <= margin || candidates[to].Idle() == 0 {
				t.Fatalf("%s: recreated for %s with a gain of %s: %+v", name, candidates[to].Kind, gain, candidates)
			}
			if back, _ := first(Better(rank, candidates, candidates[to].Kind, margin)); back >= 0 {
				t.Fatalf("%s: recreated for %s, and then for %s: %+v", name, candidates[to].Kind, candidates[back].Kind, candidates)
			}
		}
	}
	if otherwise == 0 {
		t.Error("the preference changes nothing: this tests nothing")
	}
}
