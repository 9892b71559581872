package policy

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"heteroaccel.io/pkg/inventory"
	"heteroaccel.io/pkg/servicetime"
)

// garbage are amounts that break arithmetic.
var garbage = []int64{0, 0, 0, 1, 1, 2, 3, -1, 1000, int64(time.Second), int64(time.Hour), int64(maxEstimate), int64(maxEstimate) + 1, 1 << 53, math.MaxInt64 - 1, math.MaxInt64, math.MinInt64}

// candidatesFrom reads at most so many candidates from bytes, each an index into
// garbage.
func candidatesFrom(data []byte, most int) []inventory.Candidate {
	next := func() int64 {
		if len(data) == 0 {
			return 0
		}
		b := data[0]
		data = data[1:]
		return garbage[int(b)%len(garbage)]
	}
	var cs []inventory.Candidate
	for len(cs) == 0 || len(data) > 0 && len(cs) < most {
		c := inventory.Candidate{
			Option: inventory.Option{Kind: "GPU", Rank: int(next()), Service: time.Duration(next())},
			Nodes:  int(next()), Total: next(), Usable: next(), Claimed: next(), Queued: next(), Ending: next(), Full: time.Duration(next()), PreferredWeight: int(next()),
		}
		c.Basis, c.Hint = servicetime.Basis(next()), time.Duration(next())
		c.Timed = servicetime.Timed{Runs: next(), Recent: int(next()), Least: time.Duration(next()), Age: time.Duration(next())}
		c.TrialHistory = inventory.TrialHistory{Allowed: next()%2 == 0, PodsSinceTrial: next(), PodsSinceKind: next(), Trials: next(), Untimed: next()%2 == 0}
		c.Deadline = inventory.Deadline{Of: time.Duration(next()), Left: time.Duration(next())}
		for range min(5, max(0, next())) {
			c.Running = append(c.Running, inventory.Running{Elapsed: time.Duration(next()), Service: time.Duration(next()), Ends: next()%2 == 0})
		}
		cs = append(cs, c)
	}
	return cs
}

// checkTotal fails unless every candidate is ranked once, with a sane wait.
// It returns how many policies chose a trial.
func checkTotal(t *testing.T, cs []inventory.Candidate) (trials int) {
	t.Helper()
	for name, policy := range policies {
		ranked := policy(slices.Clone(cs))
		if len(ranked) != len(cs) {
			t.Fatalf("%s: %d of %d candidates ranked", name, len(ranked), len(cs))
		}
		first := ranked[0]
		if first.Trial != NoTrial {
			trials++
		}
		if first.Trial != NoTrial && (!first.TrialHistory.Allowed || first.Idle() == 0 || first.Nodes <= 0 || first.Refused != nil) {
			t.Errorf("%s: a trial of %+v", name, first.Candidate)
		}
		if first.Preferred && (first.Idle() == 0 || first.Nodes <= 0 || first.Refused != nil || first.PreferredWeight <= 0) {
			t.Errorf("%s: for the sake of a node: %+v", name, first.Candidate)
		}
		seen := make([]bool, len(cs))
		for i, r := range ranked {
			if r.Index < 0 || r.Index >= len(cs) || seen[r.Index] {
				t.Fatalf("%s: candidate %d ranked twice, or none", name, r.Index)
			}
			seen[r.Index] = true
			if r.Refused == nil && r.Nodes > 0 && first.Late && !r.Late {
				t.Errorf("%s: %+v misses the deadline that %+v makes", name, first.Candidate, r.Candidate)
			}
			if r.Wait < 0 || r.Finish < r.Wait {
				t.Errorf("%s: wait %d, finish %d of %+v", name, r.Wait, r.Finish, r.Candidate)
			}
			if r.Idle() > 0 && r.Wait != 0 {
				t.Errorf("%s: waits %v for what is idle: %+v", name, r.Wait, r.Candidate)
			}
			// Nothing idle, timed or not, may stand behind what never frees.
			if i > 0 && r.Nodes > 0 && r.Idle() > 0 && ranked[i-1].Finish == Never && !r.Late {
				t.Errorf("%s: idle %+v behind %+v", name, r.Candidate, ranked[i-1])
			}
			if i > 0 && r.Nodes > 0 && ranked[i-1].Nodes <= 0 {
				t.Errorf("%s: a kind that is there stands behind one that is nowhere", name)
			}
		}
		if Explain(ranked) == "" {
			t.Errorf("%s: no explanation", name)
		}
	}
	return trials
}

func FuzzPolicies(f *testing.F) {
	f.Add([]byte{})
	f.Add([]byte{0, 0, 3, 3, 0, 15, 15, 15, 5, 15, 15, 0})
	f.Add([]byte("every candidate is ranked exactly once, whatever stands in it"))
	// A pod has few kinds; hundreds are tested below.
	f.Fuzz(func(t *testing.T, data []byte) { checkTotal(t, candidatesFrom(data, 12)) })
}

func TestPoliciesAreTotal(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	trials := 0
	for range 20_000 {
		data := make([]byte, r.IntN(60))
		for i := range data {
			data[i] = byte(r.Uint32())
		}
		trials += checkTotal(t, candidatesFrom(data, 400))
	}
	if trials == 0 {
		t.Error("nothing was ever tried")
	}
	many := make([]byte, 8_000) // hundreds of kinds: sums of years must not overflow
	for i := range many {
		many[i] = 15
	}
	checkTotal(t, candidatesFrom(many, 400))
}

func BenchmarkEarliestFinish(b *testing.B) {
	busy := inventory.Candidate{Nodes: 2500, Total: 2500, Ending: 2500, Queued: 125, Option: inventory.Option{Service: 100 * ms}}
	for i := range 32 {
		busy.Running = append(busy.Running, ends(time.Duration(1+i)*ms, 100*ms))
	}
	idle := inventory.Candidate{Nodes: 1, Total: 1, Usable: 1, Option: inventory.Option{Service: 100 * ms}}
	for name, c := range map[string]inventory.Candidate{"idle": idle, "busy": busy} {
		cs := []inventory.Candidate{c, c, c, c}
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				EarliestFinish(cs)
			}
		})
	}
}
