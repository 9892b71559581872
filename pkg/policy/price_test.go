package policy

import (
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"heteroaccel.io/pkg/inventory"
)

// pool is a kind of many devices, of which some are free and the rest become so.
func pool(slots, free int64) func(*inventory.Candidate) {
	return func(c *inventory.Candidate) {
		c.Total, c.Usable, c.Ending = slots, free, slots-free
		if free == 0 {
			c.Running = slices.Repeat([]inventory.Running{ends(c.Service/2, c.Service)}, 4)
		}
	}
}

func full(d time.Duration) func(*inventory.Candidate) {
	return func(c *inventory.Candidate) { c.Full = d }
}

func TestPrice(t *testing.T) {
	tests := map[string]struct {
		c    inventory.Candidate
		want float64
	}{
		"one idle slot":             {kind("GPU", 0, time.Second), math.Exp(-1)},
		"one busy slot":             {kind("GPU", 0, time.Second, pool(1, 0)), 1},
		"one busy slot, two queued": {kind("GPU", 0, time.Second, pool(1, 0), queued(2)), 3},
		"a hundred slots, all idle": {kind("GPU", 0, time.Second, pool(100, 100)), math.Exp(-10)},
		"a hundred, ten idle":       {kind("GPU", 0, time.Second, pool(100, 10)), math.Exp(-1)},
		"ten idle, five claimed":    {kind("GPU", 0, time.Second, pool(100, 10), claimed(5)), math.Exp(-.5)},
		"a hundred busy, 20 queued": {kind("GPU", 0, time.Second, pool(100, 0), queued(20)), 3},
		"full for ten runs":         {kind("GPU", 0, time.Second, pool(1, 0), full(10*time.Second)), 2},
		"full for ever":             {kind("GPU", 0, time.Second, pool(1, 0), full(Never)), 1 + maxLasting},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if got := price(estimate([]inventory.Candidate{tt.c})[0]); math.Abs(got-tt.want) > 1e-9 {
				t.Errorf("got %v, want %v", got, tt.want)
			}
		})
	}
}

func TestPricedFinish(t *testing.T) {
	const s = time.Second
	tests := map[string]struct {
		candidates []inventory.Candidate
		want       string
	}{
		"all idle: the fastest": {
			[]inventory.Candidate{kind("CPU", 0, 7*s), kind("GPU", 0, s), kind("NPU", 0, 2*s)}, "GPU NPU CPU",
		},
		// 10 · (1 + e^-.2) = 18.2 against 12 · (1 + e^-5)
		"the last of a kind is left to who gains more": {
			[]inventory.Candidate{kind("GPU", 0, 10*s, pool(100, 2)), kind("NPU", 0, 12*s, pool(100, 50))}, "NPU GPU",
		},
		"who gains more takes it": {
			[]inventory.Candidate{kind("GPU", 0, 10*s, pool(100, 2)), kind("NPU", 0, 40*s, pool(100, 50))}, "GPU NPU",
		},
		// 6 + 10 · 2 against 35 · (1 + e^-1)
		"worth waiting for": {
			[]inventory.Candidate{kind("GPU", 0, 10*s, pool(1, 0)), kind("CPU", 0, 35*s)}, "GPU CPU",
		},
		// 6 + 10 · 5 against 35 · (1 + e^-1)
		"not when it is always full": {
			[]inventory.Candidate{kind("GPU", 0, 10*s, pool(1, 0), full(300*s)), kind("CPU", 0, 35*s)}, "CPU GPU",
		},
		"what never frees comes after all that does": {
			[]inventory.Candidate{kind("GPU", 0, s, taken), kind("CPU", 0, time.Hour, pool(1, 0), queued(1000), full(Never))}, "CPU GPU",
		},
		"nowhere comes last": {
			[]inventory.Candidate{kind("GPU", 0, s, nowhere), kind("NPU", 0, time.Hour, taken, queued(99))}, "NPU GPU",
		},
		"alike: the order of preference": {
			[]inventory.Candidate{kind("GPU", 1, s), kind("NPU", 0, s)}, "NPU GPU",
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			ranked := PricedFinish(tt.candidates)
			if got := kindsOf(ranked); got != tt.want {
				t.Errorf("got %s, want %s", got, tt.want)
			}
		})
	}
}

func TestExplainPrices(t *testing.T) {
	tests := map[string]struct {
		candidates []inventory.Candidate
		want       string
	}{
		"left to others": {
			[]inventory.Candidate{kind("GPU", 0, 10*time.Second, pool(100, 2)), kind("NPU", 0, 12*time.Second, pool(100, 50))},
			"NPU is free (50 of 100), a run takes 12s; GPU free, 10s but scarce",
		},
		"waits for the cheaper": { // 4 + 6 · 5.3 against 6.5 + 11 · 2
			[]inventory.Candidate{kind("GPU", 0, 6*time.Second, pool(1, 0), full(200*time.Second)), kind("NPU", 0, 11*time.Second, pool(1, 0))},
			"waits for NPU (0 of 1 free), which is expected to be done in 17.5s and leaves the others to those who gain more by them; GPU taken (0 of 1 free), 10s but scarce",
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if got := Explain(PricedFinish(tt.candidates)); got != tt.want {
				t.Errorf("got %s\nwant %s", got, tt.want)
			}
		})
	}
}

// TestPricesKeepComparativeAdvantage: a pod that gains more by a kind, in
// proportion, never leaves it before one that gains less, however long their runs
// are and whatever state both kinds are in.
func TestPricesKeepComparativeAdvantage(t *testing.T) {
	for free := range int64(30) {
		for _, long := range []time.Duration{time.Second, 10 * time.Second, time.Minute} {
			choice := func(gain float64, base time.Duration) string {
				return kindsOf(PricedFinish([]inventory.Candidate{
					kind("GPU", 0, base, pool(100, 1+free)),
					kind("NPU", 0, time.Duration(gain*float64(base)), pool(100, 50)),
				}))
			}
			if strings.HasPrefix(choice(1.4, long), "GPU") && strings.HasPrefix(choice(3, time.Second), "NPU") {
				t.Errorf("%d free: who gains 3 times leaves the GPU to a run of %v that gains 1.4 times", 1+free, long)
			}
		}
	}
}

// TestPricesKeepTheirBounds checks the bounds of PricedFinish, in whatever state
// the kinds are: while a kind is idle a pod finishes within twice the time of a
// run there, and a run on a slower idle kind takes less than the wait for a faster
// one plus eight runs on it.
func TestPricesKeepTheirBounds(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 8))
	idle, passed := 0, 0
	for range 20_000 {
		var cs []inventory.Candidate
		for i := range 2 + r.IntN(3) {
			slots := 1 + r.Int64N(50)
			free := max(0, r.Int64N(2*slots)-slots)
			c := kind("GPU", i, time.Duration(1+r.Int64N(100))*time.Second, pool(slots, free))
			if free == 0 {
				c.Queued, c.Full = r.Int64N(10), time.Duration(r.Int64N(1000))*time.Second
			}
			cs = append(cs, c)
		}
		ranked := PricedFinish(cs)
		first := ranked[0]
		for _, other := range ranked[1:] {
			switch {
			case other.Idle() > 0 && first.Finish > 2*other.Finish:
				t.Fatalf("done in %v, with a kind idle where it takes %v", first.Finish, other.Finish)
			case other.Idle() > 0 && first.Idle() == 0:
				passed++
			case other.Idle() == 0 && first.Idle() > 0 && first.Finish > other.Finish:
				idle++
				most := other.Wait.Seconds() + other.serviceSeconds()*(2+maxLasting+float64(other.Queued))
				if first.serviceSeconds() > most {
					t.Fatalf("sent to where a run takes %v, %v s at most", first.Finish, most)
				}
			}
		}
	}
	if idle == 0 || passed == 0 {
		t.Errorf("%d were sent to a slower kind, %d waited beside an idle one: this tests nothing", idle, passed)
	}
}
