package policy

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"heteroaccel.io/pkg/inventory"
	"heteroaccel.io/pkg/servicetime"
)

// within gives candidates a deadline, of a pod that was created so long ago.
func within(of, age time.Duration, candidates ...inventory.Candidate) []inventory.Candidate {
	for i := range candidates {
		candidates[i].Deadline = inventory.DeadlineOf(of, age)
	}
	return candidates
}

// TestDeadline: the paper's trade. A run takes 10.6 s on the CPU and 1.5 s on the GPU.
func TestDeadline(t *testing.T) {
	const s = time.Second
	gpu := kind("GPU", 0, 1500*ms, takenFor(400*ms)) // done in 0.4 + 1 + 1.5 s
	cpu := kind("CPU", 1, 10600*ms)
	late := func(c *inventory.Candidate) { c.Running[0] = ends(20*s, time.Hour) }
	tests := map[string]struct {
		candidates []inventory.Candidate
		idleFirst  string
		others     string
		reason     string // of priced-finish
	}{
		"none": {
			within(0, time.Hour, gpu, cpu), "CPU GPU", "GPU CPU",
			"waits for GPU (0 of 1 free), which is expected to be done first, in 2.9s; CPU free, 10.6s",
		},
		"tight": {
			within(5*s, 0, gpu, cpu), "GPU CPU", "GPU CPU",
			"waits for GPU (0 of 1 free), which is expected to be done first, in 2.9s; CPU free, but would take 10.6s, over the deadline of 5s",
		},
		"just made": {
			within(2900*ms, 0, gpu, cpu), "GPU CPU", "GPU CPU",
			"waits for GPU (0 of 1 free), which is expected to be done first, in 2.9s; CPU free, but would take 10.6s, over the deadline of 2.9s",
		},
		"just missed by all: as without": {
			within(2899*ms, 0, gpu, cpu), "CPU GPU", "GPU CPU",
			"waits for GPU (0 of 1 free), which is expected to be done first, in 2.9s; CPU free, 10.6s; no kind is expected to be done within the deadline of 2.899s",
		},
		"made by all: as without": {
			within(time.Minute, 0, gpu, cpu), "CPU GPU", "GPU CPU",
			"waits for GPU (0 of 1 free), which is expected to be done first, in 2.9s; CPU free, 10.6s",
		},
		"some of it has passed": {
			within(12*s, 2*s, gpu, cpu), "GPU CPU", "GPU CPU",
			"waits for GPU (0 of 1 free), which is expected to be done first, in 2.9s; CPU free, but would take 10.6s, over the 10s left of its deadline of 12s",
		},
		"too much of it has passed": {
			within(12*s, 10*s, gpu, cpu), "CPU GPU", "GPU CPU",
			"waits for GPU (0 of 1 free), which is expected to be done first, in 2.9s; CPU free, 10.6s; no kind is expected to be done within the 2s left of its deadline of 12s",
		},
		"it has passed": {
			within(90*s, 90*s, gpu, cpu), "CPU GPU", "GPU CPU",
			"waits for GPU (0 of 1 free), which is expected to be done first, in 2.9s; CPU free, 10.6s; its deadline of 1m30s has passed",
		},
		"the fast one is taken for too long": {
			within(15*s, 0, kind("GPU", 0, 1500*ms, takenFor(14*s)), cpu), "CPU GPU", "CPU GPU",
			"CPU is free (1 of 1), a run takes 10.6s; GPU taken (0 of 1 free), and would be done in 16.5s, over the deadline of 15s",
		},
		"taken for good": {
			within(15*s, 0, kind("GPU", 0, 1500*ms, taken), cpu), "CPU GPU", "CPU GPU",
			"CPU is free (1 of 1), a run takes 10.6s; GPU taken for good (0 of 1 free)",
		},
		"refused where it would be made": {
			within(5*s, 0, kind("GPU", 0, 1500*ms, barred), cpu), "CPU GPU", "CPU GPU",
			"CPU is free (1 of 1), a run takes 10.6s; no GPU (LimitRange l: too much); no kind is expected to be done within the deadline of 5s",
		},
		"nowhere where it would be made": {
			within(5*s, 0, kind("GPU", 0, 1500*ms, nowhere), cpu), "CPU GPU", "CPU GPU",
			"CPU is free (1 of 1), a run takes 10.6s; no GPU; no kind is expected to be done within the deadline of 5s",
		},
		"only guessed to miss it": {
			within(5*s, 0, gpu, kind("CPU", 1, 10600*ms, change(func(c *inventory.Candidate) { c.Basis = servicetime.ProfileOrder }))), "GPU CPU", "GPU CPU",
			"waits for GPU (0 of 1 free), which is expected to be done first, in 2.9s; CPU free, not timed yet, but is expected to take 10.6s, over the deadline of 5s",
		},
		"no trial that misses it": {
			within(5*s, 0, kind("GPU", 0, 1500*ms, takenFor(400*ms), ran(100)), kind("CPU", 1, 10600*ms, ran(0))), "GPU CPU", "GPU CPU",
			"waits for GPU (0 of 1 free), which is expected to be done first, in 2.9s; CPU free, but would take 10.6s, over the deadline of 5s",
		},
		"no node that misses it": {
			within(5*s, 0, kind("GPU", 0, 4*s), kind("NPU", 1, 6*s, change(func(c *inventory.Candidate) { c.PreferredNode, c.PreferredWeight = "near", 100 }))), "GPU NPU", "GPU NPU",
			"GPU is free (1 of 1), a run takes 4s; NPU free on near, which it prefers, but would take 6s, over the deadline of 5s",
		},
		"one of three": {
			within(10*s, 0, kind("GPU", 0, 1500*ms, change(takenFor(s)), late), kind("FPGA", 1, 9*s), cpu), "FPGA CPU GPU", "FPGA CPU GPU",
			"FPGA is free (1 of 1), a run takes 9s; CPU free, but would take 10.6s, over the deadline of 10s; GPU taken (0 of 1 free), and would be done in 22.5s, over the deadline of 10s",
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			for policy, want := range map[string]string{"idle-first": tt.idleFirst, "earliest-finish": tt.others, "priced-finish": tt.others} {
				if got := kindsOf(policies[policy](slices.Clone(tt.candidates))); got != want {
					t.Errorf("%s: %s, want %s", policy, got, want)
				}
			}
			if got := Explain(PricedFinish(slices.Clone(tt.candidates))); got != tt.reason {
				t.Errorf("got  %s\nwant %s", got, tt.reason)
			}
		})
	}
}

// TestDeadlineAgainstPrices: a pod leaves the last GPU to others for an NPU that is half
// as fast, unless it would miss its deadline there.
func TestDeadlineAgainstPrices(t *testing.T) {
	const s = time.Second
	scarce := []inventory.Candidate{
		kind("GPU", 0, 4*s, pool(1, 1), change(func(c *inventory.Candidate) { c.Full = time.Hour })), kind("NPU", 1, 5*s, pool(10_000, 10_000)),
	}
	for deadline, want := range map[time.Duration]string{0: "NPU GPU", 10 * s: "NPU GPU", 4500 * ms: "GPU NPU", s: "NPU GPU"} {
		if got := kindsOf(PricedFinish(within(deadline, 0, slices.Clone(scarce)...))); got != want {
			t.Errorf("deadline %v: %s, want %s", deadline, got, want)
		}
	}
}

// TestDeadlineChangesNothingElse: where no kind makes the deadline, or every one does, the
// candidates are ranked as without it, and where all make it the reason is the same.
func TestDeadlineChangesNothingElse(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	without := func(ranked []Ranked) []Ranked {
		for i := range ranked {
			ranked[i].Deadline, ranked[i].Late = inventory.Deadline{}, false
		}
		return ranked
	}
	for range 1_500 {
		data := make([]byte, r.IntN(200))
		for i := range data {
			data[i] = byte(r.Uint32())
		}
		cs := within(0, 0, candidatesFrom(data, 6)...)
		for name, policy := range policies {
			want := policy(slices.Clone(cs))
			for _, d := range []inventory.Deadline{{Of: Never, Left: Never}, {Of: 1, Left: -1}} {
				late := slices.Clone(cs)
				for i := range late {
					late[i].Deadline = d
				}
				ranked := policy(late)
				reason := Explain(ranked)
				if diff := cmp.Diff(want, without(ranked)); diff != "" {
					t.Fatalf("%s, %v left (-without +with):\n%s", name, d.Left, diff)
				}
				if d.Left == Never && reason != Explain(want) {
					t.Fatalf("%s: %s\nwithout: %s", name, reason, Explain(want))
				}
			}
		}
	}
}

func TestExact(t *testing.T) {
	for d, want := range map[time.Duration]string{
		5 * time.Second: "5s", 90 * time.Second: "1m30s", time.Minute: "1m", 10 * time.Minute: "10m", time.Hour: "1h", 100 * time.Hour: "100h",
		time.Hour + time.Minute: "1h1m", time.Hour + time.Second: "1h0m1s", 1500 * ms: "1.5s", 10 * time.Hour: "10h", 20 * ms: "20ms",
	} {
		if got := exact(d); got != want {
			t.Errorf("%v: %s, want %s", d, got, want)
		}
	}
}
