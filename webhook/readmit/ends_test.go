package readmit

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus/testutil"
	corev1 "k8s.io/api/core/v1"

	"heteroaccel.io/pkg/inventory"
	"heteroaccel.io/pkg/policy"
	"heteroaccel.io/webhook/readmit/podtest"
)

func endsOf(r *Readmitter) map[end]int {
	got := map[end]int{}
	for _, e := range []end{first, moved, better, mispredicted, denied} {
		if n := int(testutil.ToFloat64(r.metrics.ends.claims.WithLabelValues(string(e)))); n > 0 {
			got[e] = n
		}
	}
	return got
}

// TestEndOfABoundPod: a claim that got a device counts once, for a pod that was seen
// waiting, while this replica leads.
func TestEndOfABoundPod(t *testing.T) {
	waits := podtest.AdmittedLate(t, "p", "r", "GPU")
	nominated, bound, other, early := waits.DeepCopy(), waits.DeepCopy(), waits.DeepCopy(), podtest.Admitted(t, "p", "r")
	nominated.Status.NominatedNodeName, bound.Spec.NodeName = "n", "n"
	other.UID, other.Spec.NodeName = "other", "n"
	earlyBound := early.DeepCopy()
	earlyBound.Spec.NodeName = "n"
	for name, tt := range map[string]struct {
		leads bool
		seen  []*corev1.Pod
		want  map[end]int
	}{
		"bound":               {true, []*corev1.Pod{waits, bound}, map[end]int{first: 1}},
		"nominated before":    {true, []*corev1.Pod{waits, nominated, bound, bound}, map[end]int{first: 1}},
		"not seen before":     {true, []*corev1.Pod{bound, bound}, map[end]int{}},
		"another of the name": {true, []*corev1.Pod{waits, other}, map[end]int{}},
		"bound early":         {true, []*corev1.Pod{early, earlyBound}, map[end]int{}},
		"another leads":       {false, []*corev1.Pod{waits, bound}, map[end]int{}},
	} {
		t.Run(name, func(t *testing.T) {
			r := New(lateConfig(t))
			if tt.leads {
				r.current.Store(r.newTerm())
			}
			for _, p := range tt.seen {
				r.SetPod(p)
			}
			if diff := cmp.Diff(tt.want, endsOf(r)); diff != "" {
				t.Errorf("ends (-want +got):\n%s", diff)
			}
		})
	}
}

func TestWhyMoved(t *testing.T) {
	ranked := func(refused *inventory.Refusal) []policy.Ranked {
		return []policy.Ranked{
			{Candidate: inventory.Candidate{Option: inventory.Option{Kind: "NPU"}, Refused: &inventory.Refusal{Unschedulable: true}}},
			{Candidate: inventory.Candidate{Option: inventory.Option{Kind: "GPU"}, Refused: refused}},
		}
	}
	for name, tt := range map[string]struct {
		refused *inventory.Refusal
		stuck   bool
		want    end
	}{
		"another freed":           {nil, false, better},
		"its owner's was refused": {&inventory.Refusal{Reason: "no"}, false, better},
		"no node":                 {&inventory.Refusal{Reason: "no", Unschedulable: true}, false, mispredicted},
		"its claim is denied":     {&inventory.Refusal{Reason: "no", Unschedulable: true}, true, denied},
	} {
		if got := whyMoved(ranked(tt.refused), "GPU", tt.stuck); got != tt.want {
			t.Errorf("%s: %s, want %s", name, got, tt.want)
		}
	}
}

// TestWaitBeforeTheClock: a pod that was created, by the API server's clock, after now has
// not waited.
func TestWaitBeforeTheClock(t *testing.T) {
	e := newEnds()
	now := time.Unix(1_700_000_000, 0)
	e.add(better, now.Add(time.Second), now)
	e.add(better, now.Add(-3*time.Second), now)
	if got := testutil.ToFloat64(e.seconds.WithLabelValues("better")); got != 3 {
		t.Errorf("they waited %v s in all, want 3", got)
	}
}
