package policy

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"heteroaccel.io/pkg/accel"
	"heteroaccel.io/pkg/inventory"
	"heteroaccel.io/pkg/quota"
)

// kind is a candidate with one device, in the state that change makes.
func kind(k accel.Kind, rank int, service time.Duration, change ...func(*inventory.Candidate)) inventory.Candidate {
	c := inventory.Candidate{
		Option: inventory.Option{Kind: k, Rank: rank, Service: service},
		Nodes:  1, Total: 1, Usable: 1,
	}
	for _, f := range change {
		f(&c)
	}
	return c
}

func nowhere(c *inventory.Candidate) { c.Nodes, c.Total, c.Usable = 0, 0, 0 }

func refused(c *inventory.Candidate) {
	c.Refused = &inventory.Refusal{Quota: &quota.Refusal{Quota: "team", Resource: "requests.example.com/" + strings.ToLower(string(c.Kind)), Hard: 1, Needs: 1}}
}

func barred(c *inventory.Candidate) { c.Refused = &inventory.Refusal{Reason: "LimitRange l: too much"} }

// stuck is a kind for which the scheduler is known to find no node.
func stuck(c *inventory.Candidate) {
	c.Refused = &inventory.Refusal{Reason: "no node suits", Unschedulable: true}
}

func taken(c *inventory.Candidate) {
	c.Usable, c.Running = 0, []inventory.Running{{Elapsed: time.Hour}}
}

func takenFor(d time.Duration) func(*inventory.Candidate) {
	return func(c *inventory.Candidate) {
		c.Usable, c.Ending, c.Running = 0, 1, []inventory.Running{ends(d, time.Hour)}
	}
}

func claimed(n int64) func(*inventory.Candidate) {
	return func(c *inventory.Candidate) { c.Claimed = n }
}

func queued(n int64) func(*inventory.Candidate) {
	return func(c *inventory.Candidate) { c.Queued = n }
}

func TestPolicies(t *testing.T) {
	tests := map[string]struct {
		candidates []inventory.Candidate
		idleFirst  string
		earliest   string
	}{
		"all idle, any": {
			[]inventory.Candidate{kind("CPU", 0, 529*ms), kind("GPU", 0, 76*ms), kind("FPGA", 0, 250*ms), kind("NPU", 0, 146*ms)},
			"CPU GPU FPGA NPU", "GPU NPU FPGA CPU",
		},
		"all idle, in an order of preference": {
			[]inventory.Candidate{kind("NPU", 1, 146*ms), kind("CPU", 0, 529*ms)},
			"CPU NPU", "NPU CPU",
		},
		"the fastest is taken for long": {
			[]inventory.Candidate{kind("GPU", 0, 76*ms, takenFor(time.Minute)), kind("CPU", 1, 529*ms)},
			"CPU GPU", "CPU GPU",
		},
		"the fastest is free again soon": {
			[]inventory.Candidate{kind("GPU", 0, 76*ms, takenFor(50*ms)), kind("CPU", 1, time.Minute)},
			"CPU GPU", "GPU CPU",
		},
		"a handover costs more than a slower device": { // 0 + 1 s + 76 ms against 529 ms
			[]inventory.Candidate{kind("GPU", 0, 76*ms, takenFor(1)), kind("CPU", 1, 529*ms)},
			"CPU GPU", "CPU GPU",
		},
		"none idle: the first to be done": {
			[]inventory.Candidate{kind("GPU", 0, time.Second, takenFor(time.Minute)), kind("NPU", 1, 2*time.Second, takenFor(time.Second))},
			"NPU GPU", "NPU GPU",
		},
		"what does not end comes after what does": {
			[]inventory.Candidate{kind("GPU", 0, time.Second, taken), kind("NPU", 1, time.Hour, takenFor(time.Hour))},
			"NPU GPU", "NPU GPU",
		},
		"nothing ends: the shortest queue": {
			[]inventory.Candidate{kind("GPU", 0, time.Second, taken, queued(2)), kind("NPU", 1, time.Hour, taken, queued(1))},
			"NPU GPU", "NPU GPU",
		},
		"nothing ends, alike: the order of preference": {
			[]inventory.Candidate{kind("GPU", 1, time.Second, taken), kind("NPU", 0, time.Hour, taken)},
			"NPU GPU", "NPU GPU",
		},
		"a kind that is nowhere comes last": {
			[]inventory.Candidate{kind("GPU", 0, 76*ms, nowhere), kind("NPU", 1, time.Hour, taken, queued(99)), kind("CPU", 2, 529*ms, claimed(1))},
			"CPU NPU GPU", "CPU NPU GPU",
		},
		"a kind that a quota refuses comes after all that none refuses": {
			[]inventory.Candidate{kind("GPU", 0, 76*ms, refused), kind("FPGA", 1, ms, nowhere), kind("NPU", 2, time.Hour, taken, queued(99))},
			"NPU FPGA GPU", "NPU FPGA GPU",
		},
		"barred or unschedulable, whatever is idle": {
			[]inventory.Candidate{kind("CPU", 0, ms, barred), kind("GPU", 1, 76*ms, refused), kind("FPGA", 2, ms, stuck), kind("NPU", 3, time.Hour, nowhere)},
			"NPU FPGA CPU GPU", "NPU FPGA CPU GPU",
		},
		"quotas refuse every kind: as without": {
			[]inventory.Candidate{kind("FPGA", 0, ms, nowhere, refused), kind("GPU", 1, 76*ms, refused), kind("NPU", 2, 146*ms, refused)},
			"GPU NPU FPGA", "GPU NPU FPGA",
		},
		"nothing is known: the order of preference": {
			[]inventory.Candidate{kind("GPU", 1, 0), kind("NPU", 0, 0)},
			"NPU GPU", "NPU GPU",
		},
		"an idle kind nobody has timed comes before what is taken": { // as if it took 10 s
			[]inventory.Candidate{kind("GPU", 0, 10*time.Second, takenFor(time.Second)), kind("NPU", 1, 0), kind("CPU", 2, time.Hour)},
			"NPU CPU GPU", "NPU GPU CPU",
		},
		"one absurd time does not starve the kind nobody has timed": {
			[]inventory.Candidate{kind("GPU", 0, time.Second, takenFor(time.Second)), kind("NPU", 1, 0), kind("CPU", 2, Never)},
			"NPU CPU GPU", "NPU GPU CPU",
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			for policy, want := range map[string]string{"idle-first": tt.idleFirst, "earliest-finish": tt.earliest} {
				p, err := Named(policy)
				if err != nil {
					t.Fatal(err)
				}
				if got := kindsOf(p(slices.Clone(tt.candidates))); got != want {
					t.Errorf("%s: got %s, want %s", policy, got, want)
				}
			}
		})
	}
}

func kindsOf(ranked []Ranked) string {
	var kinds []string
	for _, r := range ranked {
		kinds = append(kinds, string(r.Kind))
	}
	return strings.Join(kinds, " ")
}

func TestNamed(t *testing.T) {
	if _, err := Named(Default); err != nil {
		t.Errorf("the default: %v", err)
	}
	_, err := Named("fastest")
	want := `there is no policy "fastest": choose one of earliest-finish, idle-first, priced-finish`
	if err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

func TestExplain(t *testing.T) {
	gpu := func(change ...func(*inventory.Candidate)) inventory.Candidate {
		return kind("GPU", 0, 76*ms, change...)
	}
	npu := func(change ...func(*inventory.Candidate)) inventory.Candidate {
		return kind("NPU", 1, 146*ms, change...)
	}
	cores := kind(accel.CPU, 2, 529*ms, func(c *inventory.Candidate) { c.Total, c.Usable = 12, 9 })
	tests := map[string]struct {
		candidates []inventory.Candidate
		want       string
	}{
		"barred": {
			[]inventory.Candidate{kind(accel.CPU, 2, 529*ms, barred), gpu(takenFor(40 * time.Second))},
			"waits for GPU (0 of 1 free), which is expected to be done first, in 41.1s; no CPU (LimitRange l: too much)",
		},
		"every kind barred":           {[]inventory.Candidate{gpu(barred), npu(refused)}, "no kind is left to it: no GPU (LimitRange l: too much); no NPU (quota team has 0 of 1 requests.example.com/npu left)"},
		"a quota's first, one barred": {[]inventory.Candidate{npu(barred), gpu(refused)}, "the quotas of its namespace allow no kind: no GPU (quota team has 0 of 1 requests.example.com/gpu left); no NPU (LimitRange l: too much)"},
		"idle":                        {[]inventory.Candidate{gpu(), npu(), cores}, "GPU is free (1 of 1), a run takes 76ms; NPU free, 146ms; CPU free, 529ms"},
		"the only":                    {[]inventory.Candidate{gpu()}, "GPU is free (1 of 1), a run takes 76ms"},
		"the better one is taken": {
			[]inventory.Candidate{gpu(claimed(1)), npu(), cores},
			"NPU is free (1 of 1), a run takes 146ms; CPU free, 529ms; GPU taken (0 of 1 free, 1 pod before it), 2.2s",
		},
		"all taken": {
			[]inventory.Candidate{gpu(takenFor(8*time.Second), queued(2)), npu(takenFor(40 * time.Second))},
			"waits for GPU (0 of 1 free, 2 pods before it), which is expected to be done first, in 11.2s; NPU taken (0 of 1 free), 41.1s",
		},
		"worth waiting for": {
			[]inventory.Candidate{gpu(takenFor(ms)), kind("CPU", 1, 5*time.Minute)},
			"waits for GPU (0 of 1 free), which is expected to be done first, in 1.1s; CPU free, 5m",
		},
		"taken for good": {
			[]inventory.Candidate{gpu(taken, queued(1)), npu(taken)},
			"nothing is free, nor expected to be: waits for NPU (0 of 1 free); GPU taken for good (0 of 1 free, 1 pod before it)",
		},
		"nowhere":     {[]inventory.Candidate{gpu(nowhere), npu(nowhere), kind("FPGA", 2, 0, nowhere)}, "no node could take this pod, with all it asks for, on GPU, NPU or FPGA: waits for GPU"},
		"one nowhere": {[]inventory.Candidate{gpu(nowhere), npu()}, "NPU is free (1 of 1), a run takes 146ms; no GPU"},
		"over quota": {
			[]inventory.Candidate{gpu(refused), npu(takenFor(40 * time.Second))},
			"waits for NPU (0 of 1 free), which is expected to be done first, in 41.1s; no GPU (quota team has 0 of 1 requests.example.com/gpu left)",
		},
		"over quota, nowhere else": {
			[]inventory.Candidate{gpu(refused), npu(nowhere)},
			"no node could take this pod, with all it asks for, on NPU: waits for NPU; no GPU (quota team has 0 of 1 requests.example.com/gpu left)",
		},
		"all over quota": {
			[]inventory.Candidate{gpu(refused), npu(refused, nowhere)},
			"the quotas of its namespace allow no kind: no GPU (quota team has 0 of 1 requests.example.com/gpu left); no NPU (quota team has 0 of 1 requests.example.com/npu left)",
		},
		"not timed": {[]inventory.Candidate{kind("GPU", 0, 0), kind("NPU", 1, 0)}, "GPU is free (1 of 1), no run has been timed yet; NPU free, not timed yet"},
		"for ever": {
			[]inventory.Candidate{gpu(takenFor(time.Minute), queued(1<<62))},
			"waits for GPU (0 of 1 free, 4611686018427387904 pods before it), which is expected to be done first, in a year or more",
		},
		"none": {nil, ""},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			got := Explain(EarliestFinish(tt.candidates))
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if len(got) > 200 {
				t.Errorf("%d characters", len(got))
			}
		})
	}
}
