package choice

import (
	"math/rand/v2"
	"testing"
	"time"

	"heteroaccel.io/pkg/accel"
	"heteroaccel.io/pkg/inventory"
	"heteroaccel.io/pkg/policy"
	"heteroaccel.io/pkg/quota"
)

// candidate is a kind on one node, on which total pods fit.
func candidate(kind accel.Kind, total, usable int64, service time.Duration, change ...func(*inventory.Candidate)) inventory.Candidate {
	c := inventory.Candidate{Option: inventory.Option{Kind: kind, Service: service}, Nodes: 1, Total: total, Usable: usable}
	for _, f := range change {
		f(&c)
	}
	return c
}

func queued(n int64) func(*inventory.Candidate) {
	return func(c *inventory.Candidate) { c.Queued = n }
}

func claimed(n int64) func(*inventory.Candidate) {
	return func(c *inventory.Candidate) { c.Claimed = n }
}

func noNode(c *inventory.Candidate) {
	c.Refused = &inventory.Refusal{Reason: "no node", Unschedulable: true}
}

func refusedHere(c *inventory.Candidate) {
	c.Refused = &inventory.Refusal{Reason: "was refused by the API server"}
}

func overQuota(c *inventory.Candidate) {
	c.Refused = &inventory.Refusal{Quota: &quota.Refusal{Quota: "q"}}
}

// ending is held by one pod that ends by itself after service.
func ending(elapsed, service time.Duration) func(*inventory.Candidate) {
	return func(c *inventory.Candidate) {
		c.Ending = 1
		c.Running = []inventory.Running{{Elapsed: elapsed, Service: service, Ends: true}}
	}
}

// first is the index of the candidate that Better found, -1 for none.
func first(ranked []policy.Ranked, gain time.Duration) (int, time.Duration) {
	if len(ranked) == 0 {
		return -1, gain
	}
	return ranked[0].Index, gain
}

func TestBetter(t *testing.T) {
	const second = time.Second
	for name, c := range map[string]struct {
		candidates []inventory.Candidate
		policy     policy.Policy
		margin     time.Duration
		want       accel.Kind // "" to go on waiting
		gain       time.Duration
	}{
		"taken for good, another idle": {
			candidates: []inventory.Candidate{candidate("GPU", 1, 0, second), candidate("NPU", 1, 1, 2*second)},
			want:       "NPU", gain: policy.Never,
		},
		"nothing idle": {
			candidates: []inventory.Candidate{candidate("GPU", 1, 0, second), candidate("NPU", 1, 0, 2*second)},
		},
		"idle, but claimed": {
			candidates: []inventory.Candidate{candidate("GPU", 1, 0, second), candidate("NPU", 1, 1, 2*second, claimed(1))},
		},
		"its own kind is usable": {
			candidates: []inventory.Candidate{candidate("GPU", 1, 1, second, claimed(1)), candidate("NPU", 1, 1, 2*second)},
		},
		// The GPU frees in 3 s, and the next pod starts 1 s later: 5 s against 2.
		"the scheduler finds no node on its kind, another is idle": {
			candidates: []inventory.Candidate{candidate("GPU", 2, 1, second, noNode), candidate("NPU", 1, 1, 2*second)},
			want:       "NPU", gain: policy.Never,
		},
		"and nothing is": {
			candidates: []inventory.Candidate{candidate("GPU", 2, 1, second, noNode), candidate("NPU", 1, 0, 2*second), candidate("CPU", 0, 0, second, noNode)},
			want:       "NPU", gain: policy.Never,
		},
		"and there is no other": {
			candidates: []inventory.Candidate{candidate("GPU", 2, 1, second, noNode), candidate("NPU", 1, 1, 2*second, refusedHere)},
		},
		"the API server refuses what is idle": {
			candidates: []inventory.Candidate{candidate("GPU", 1, 0, second), candidate("NPU", 1, 1, 2*second, refusedHere)},
		},
		"the API server would refuse its own kind now": {
			candidates: []inventory.Candidate{candidate("GPU", 1, 1, second, refusedHere), candidate("NPU", 1, 1, 2*second)},
		},
		"sooner elsewhere": {
			candidates: []inventory.Candidate{candidate("GPU", 1, 0, second, ending(second, 4*second)), candidate("NPU", 1, 1, 2*second)},
			want:       "NPU", gain: 3 * second,
		},
		"by less than the margin": {
			candidates: []inventory.Candidate{candidate("GPU", 1, 0, second, ending(second, 4*second)), candidate("NPU", 1, 1, 2*second)},
			margin:     3 * second,
		},
		"idle, but later": {
			candidates: []inventory.Candidate{candidate("GPU", 1, 0, second, ending(3*second, 4*second)), candidate("CPU", 1, 1, 20*second)},
		},
		// Three before it: they take 2 s each.
		"a long queue": {
			candidates: []inventory.Candidate{candidate("GPU", 1, 0, second, ending(second, 4*second), queued(3)), candidate("CPU", 1, 1, 10*second)},
			want:       "CPU", gain: second,
		},
		"the order of preference, idle first": {
			candidates: []inventory.Candidate{
				candidate("GPU", 1, 0, second),
				candidate("NPU", 1, 1, 9*second, func(c *inventory.Candidate) { c.Rank = 1 }),
				candidate("CPU", 1, 1, second, func(c *inventory.Candidate) { c.Rank = 2 }),
			},
			policy: policy.IdleFirst, want: "NPU", gain: policy.Never,
		},
		"idle, but over quota": {
			candidates: []inventory.Candidate{candidate("GPU", 1, 0, second), candidate("NPU", 1, 1, 2*second, overQuota)},
		},
		"over quota, as its own kind seems to be": {
			candidates: []inventory.Candidate{candidate("GPU", 1, 0, second, overQuota), candidate("NPU", 1, 1, 2*second, overQuota)},
		},
		"the next best, as the best is over quota": {
			candidates: []inventory.Candidate{candidate("GPU", 1, 0, second, overQuota), candidate("NPU", 1, 1, second, overQuota), candidate("CPU", 1, 1, 9*second)},
			want:       "CPU", gain: policy.Never,
		},
		"no node has its kind any more": {
			candidates: []inventory.Candidate{{Option: inventory.Option{Kind: "GPU"}}, candidate("NPU", 1, 1, second)},
			want:       "NPU", gain: policy.Never,
		},
		"its kind is none of the options": {
			candidates: []inventory.Candidate{candidate("NPU", 1, 1, second)},
		},
	} {
		t.Run(name, func(t *testing.T) {
			choose := c.policy
			if choose == nil {
				choose = policy.EarliestFinish
			}
			to, gain := first(Better(choose, c.candidates, "GPU", c.margin))
			got := accel.Kind("")
			if to >= 0 {
				got = c.candidates[to].Kind
			}
			if got != c.want || gain != c.gain {
				t.Errorf("got %q with a gain of %s, want %q with %s", got, gain, c.want, c.gain)
			}
		})
	}
}

// TestPriced: with prices, what is chosen is not always what is done first. A
// pod that was sent to wait for the CPU because the GPU was dear stays there
// until it gains itself, and then is recreated once.
func TestPriced(t *testing.T) {
	const second = time.Second
	always := func(c *inventory.Candidate) { c.Full = time.Hour }
	busyCPU := candidate("CPU", 1, 0, 20*second, ending(19*second, 20*second))
	for name, c := range map[string]struct {
		gpu  inventory.Candidate
		want int
	}{
		// The GPU would take it 24 s sooner than the CPU, and nobody else wants it now.
		"the GPU is idle":            {candidate("GPU", 1, 1, 5*second), 0},
		"it is claimed":              {candidate("GPU", 1, 1, 5*second, claimed(1)), -1},
		"it is dear, and done first": {candidate("GPU", 1, 0, 5*second, ending(2*second, 5*second), queued(1), always), -1},
	} {
		if to, _ := first(Better(policy.PricedFinish, []inventory.Candidate{c.gpu, busyCPU}, accel.CPU, second)); to != c.want {
			t.Errorf("%s: %d, want %d", name, to, c.want)
		}
	}
	// The CPU is idle and cheap, the GPU always full; but the pod is next on
	// the GPU, and it is its own time that it would lose.
	next := []inventory.Candidate{
		candidate("GPU", 1, 0, 5*second, ending(4*second, 5*second), always),
		candidate("CPU", 1, 1, 15*second),
	}
	if ranked := policy.PricedFinish(next); ranked[0].Kind != accel.CPU {
		t.Fatalf("a new pod gets %s: this tests nothing", ranked[0].Kind)
	}
	if to, _ := first(Better(policy.PricedFinish, next, "GPU", 0)); to >= 0 {
		t.Errorf("recreated for %s, where it is done later", next[to].Kind)
	}
}

// TestRecreatedForWhatItGets: admission, which sees what Better saw and those
// behind the pod as well, gives it the very kind that it was recreated for:
// nobody goes in circles.
func TestRecreatedForWhatItGets(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	moved := 0
	for range 20_000 {
		var candidates []inventory.Candidate
		for i, k := range []accel.Kind{"GPU", "NPU", accel.CPU} {
			total := 1 + r.Int64N(20)
			c := candidate(k, total, max(0, r.Int64N(2*total)-total), time.Duration(1+r.Int64N(100))*time.Second)
			c.Rank = i
			if c.Usable == 0 {
				c.Queued, c.Full = r.Int64N(10), time.Duration(r.Int64N(1000))*time.Second
				c.Ending = total
				for range total {
					c.Running = append(c.Running, inventory.Running{Elapsed: time.Duration(r.Int64N(int64(c.Service))), Service: c.Service, Ends: true})
				}
			}
			candidates = append(candidates, c)
		}
		for name, choose := range map[string]policy.Policy{"idle-first": policy.IdleFirst, "earliest-finish": policy.EarliestFinish, "priced-finish": policy.PricedFinish} {
			to, gain := first(Better(choose, AtPosition(candidates, "GPU", r.Int64N(10)), "GPU", time.Second))
			if to < 0 {
				continue
			}
			moved++
			if got := choose(candidates)[0]; got.Index != to {
				t.Fatalf("%s: recreated for %s, with a gain of %s, and gets %s: %+v", name, candidates[to].Kind, gain, got.Kind, candidates)
			}
		}
	}
	if moved == 0 {
		t.Error("nobody moves: this tests nothing")
	}
}

// TestAtPosition: the first in a long queue is best left where it is, the last is
// not.
func TestAtPosition(t *testing.T) {
	candidates := []inventory.Candidate{
		candidate("GPU", 1, 0, time.Second, ending(3*time.Second, 4*time.Second), queued(9)),
		candidate("CPU", 1, 1, 10*time.Second),
	}
	for before, want := range map[int64]int{0: -1, 2: -1, 8: 1, 100: 1} {
		if to, _ := first(Better(policy.EarliestFinish, AtPosition(candidates, "GPU", before), "GPU", 0)); to != want {
			t.Errorf("with %d before it: %d, want %d", before, to, want)
		}
	}
	if candidates[0].Queued != 9 {
		t.Error("the candidates were changed")
	}
}
