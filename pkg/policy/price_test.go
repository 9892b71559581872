package policy

import (
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"heteroaccel.io/pkg/inventory"
)

// pool is a kind of many slots, of which some are free and the rest end.
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
		"full for ever":             {kind("GPU", 0, time.Second, pool(1, 0), full(Never)), 1 + dearest},
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
		"waits for the cheaper": { // 4.0 + 6 · 4 against 6.5 + 9 · 2
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

// TestPricesKeepComparativeAdvantage: whoever gains more by a kind, in
// proportion, never leaves it before one who gains less, however long their
// runs are and whatever state both kinds are in.
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
