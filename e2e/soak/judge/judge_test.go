package judge

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"heteroaccel.io/pkg/accel"
)

func TestOwner(t *testing.T) {
	refused := map[accel.Kind]string{"GPU": "exceeded quota", "CPU": "maximum cpu usage per Container is 1"}
	taken := map[accel.Kind]string{"GPU": "", "CPU": "maximum cpu usage per Container is 1"}
	tests := map[string]struct {
		owner Owner
		want  Outcome
	}{
		"has what it wants":                      {Owner{Want: 2, Live: 2, Owed: 2}, Complete},
		"wants none":                             {Owner{}, Complete},
		"a pod too many":                         {Owner{Want: 2, Live: 3, Owed: 2}, Extra},
		"deleted, and refused":                   {Owner{Want: 2, Live: 1, Owed: 2, Refusals: refused}, Lost},
		"deleted, and a kind would be taken":     {Owner{Want: 2, Live: 1, Owed: 2, Refusals: taken}, Lost},
		"refused from the first pod on":          {Owner{Want: 2, Refusals: refused}, Refused},
		"refused from the second pod on":         {Owner{Want: 2, Live: 1, Owed: 1, Refusals: refused}, Refused},
		"never there, and a kind would be taken": {Owner{Want: 2, Live: 1, Owed: 1, Refusals: taken}, NotMade},
		"nobody asked the API server":            {Owner{Want: 1}, NotMade},
		"its controller pauses":                  {Owner{Want: 2, Refusals: taken, PausesUntil: time.Now()}, Paused},
		"pauses, and is refused":                 {Owner{Want: 2, Refusals: refused, PausesUntil: time.Now()}, Refused},
		"pauses, and one was deleted":            {Owner{Want: 2, Owed: 1, Refusals: taken, PausesUntil: time.Now()}, Lost},
	}
	for name, c := range tests {
		t.Run(name, func(t *testing.T) {
			if got := c.owner.Outcome(); got != c.want {
				t.Errorf("it is %s, want %s", got, c.want)
			}
		})
	}
	for outcome, want := range map[Outcome]bool{Complete: false, Refused: false, Paused: false, Extra: true, Lost: true, NotMade: true} {
		if outcome.Failed() != want {
			t.Errorf("%s fails: %v, want %v", outcome, !want, want)
		}
	}
}

func TestJobPause(t *testing.T) {
	last := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	for name, c := range map[string]struct {
		failed int
		after  time.Duration
		until  time.Duration // after last; 0 for no pause
	}{
		"none failed":                {0, time.Second, 0},
		"the first":                  {1, 14 * time.Second, 15 * time.Second},
		"the first is over":          {1, 15 * time.Second, 0},
		"the third":                  {3, time.Second, 45 * time.Second},
		"the longest":                {7, 10 * time.Minute, 10*time.Minute + 5*time.Second},
		"no longer than the longest": {70, time.Second, 10*time.Minute + 5*time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			want := time.Time{}
			if c.until > 0 {
				want = last.Add(c.until)
			}
			if got := JobPause(c.failed, last, last.Add(c.after)); !got.Equal(want) {
				t.Errorf("it pauses until %v, want %v", got, want)
			}
		})
	}
	if got := JobPause(1, time.Time{}, last); !got.IsZero() {
		t.Errorf("it pauses until %v with nothing missing", got)
	}
}

func TestJob(t *testing.T) {
	tests := map[string]struct {
		parallelism, completions, succeeded int
		over                                bool
		want                                int
	}{
		"at the start":       {2, 6, 0, false, 2},
		"near the end":       {4, 6, 5, false, 1},
		"about to be over":   {4, 6, 6, false, 0},
		"over":               {4, 6, 6, true, 0},
		"failed before that": {4, 6, 1, true, 0},
	}
	for name, c := range tests {
		t.Run(name, func(t *testing.T) {
			if got := Job(c.parallelism, c.completions, c.succeeded, c.over); got != c.want {
				t.Errorf("it is to have %d pods, want %d", got, c.want)
			}
		})
	}
}

func TestWait(t *testing.T) {
	const none = "0/20 nodes are available"
	tests := map[string]struct {
		wait Wait
		want Verdict
	}{
		"nothing is free":                         {Wait{Own: "GPU", Tries: []Try{{Kind: "GPU", Message: none}, {Kind: "NPU", Message: none}}}, Right},
		"the other kind is refused":               {Wait{Own: "GPU", Tries: []Try{{Kind: "GPU", Message: none}, {Kind: "NPU", Refused: "exceeded quota"}}}, Right},
		"another kind is free, its own never":     {Wait{Own: "GPU", Tries: []Try{{Kind: "GPU", Message: none}, {Kind: "NPU", Node: "n"}}}, Stuck},
		"another kind is free, its own soon":      {Wait{Own: "GPU", Ending: []time.Duration{time.Second}, Tries: []Try{{Kind: "NPU", Node: "n"}}}, Justified},
		"its own kind is free":                    {Wait{Own: "GPU", Tries: []Try{{Kind: "GPU", Node: "n"}}}, Stuck},
		"its own kind is free, and others end":    {Wait{Own: "GPU", Ending: []time.Duration{time.Second}, Tries: []Try{{Kind: "GPU", Node: "n"}}}, Stuck},
		"bound once the scheduler looked again":   {Wait{Own: "GPU", Bound: "n", Tries: []Try{{Kind: "GPU", Message: none}}}, Stuck},
		"the scheduler said nothing":              {Wait{Own: "GPU", Tries: []Try{{Kind: "GPU"}, {Kind: "NPU", Message: none}}}, Unknown},
		"one says nothing, another is free":       {Wait{Own: "GPU", Tries: []Try{{Kind: "GPU"}, {Kind: "NPU", Node: "n"}}}, Stuck},
		"nothing was asked, for it may have none": {Wait{Own: "GPU"}, Right},
	}
	for name, c := range tests {
		t.Run(name, func(t *testing.T) {
			if got := c.wait.Verdict(); got != c.want {
				t.Errorf("waiting is %s, want %s", got, c.want)
			}
		})
	}
}

func TestRested(t *testing.T) {
	created := time.Unix(100, 0)
	for moves, want := range map[int]time.Duration{0: 0, 1: time.Second, 2: 2 * time.Second, 5: 16 * time.Second, 9: time.Minute, 1000: time.Minute} {
		if got := Rested(created, moves, time.Second, time.Minute).Sub(created); got != want {
			t.Errorf("after %d moves it rests for %s, want %s", moves, got, want)
		}
	}
}

func TestLeftovers(t *testing.T) {
	meta := func(namespace, name string) metav1.ObjectMeta {
		return metav1.ObjectMeta{Namespace: namespace, Name: name}
	}
	released, deleted := &corev1.Pod{ObjectMeta: meta("a", "released")}, &corev1.Pod{ObjectMeta: meta("a", "deleted")}
	released.Labels = map[string]string{accel.ReleasedLabel: "code"}
	at := metav1.NewTime(time.Date(2000, 1, 1, 3, 0, 0, 0, time.UTC))
	deleted.DeletionTimestamp = &at
	got := Leftovers(
		[]corev1.Secret{{ObjectMeta: meta("ours", "heteroaccel-webhook-key")}, {ObjectMeta: metav1.ObjectMeta{Namespace: "ours", Name: "heteroaccel-readmission-0", CreationTimestamp: at}}},
		[]*corev1.Pod{{ObjectMeta: meta("a", "fine")}, released, deleted, {ObjectMeta: meta("ours", "wake")}}, "ours")
	want := []string{
		"secret ours/heteroaccel-readmission-0 of 03:00:00",
		"pod a/released, taken from its Job",
		"pod a/deleted, being deleted since 03:00:00",
		"pod ours/wake",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("left behind (-want +got):\n%s", diff)
	}
}

func TestQuantile(t *testing.T) {
	all := []time.Duration{1, 2, 3, 4}
	for part, want := range map[float64]time.Duration{0: 1, 0.5: 3, 0.99: 4, 1: 4} {
		if got := Quantile(all, part); got != want {
			t.Errorf("quantile %v is %d, want %d", part, got, want)
		}
	}
	if got := Quantile(nil, 0.5); got != 0 {
		t.Errorf("of nothing it is %d", got)
	}
}

func TestLines(t *testing.T) {
	waits := []*Wait{
		{Owner: "Job a/x", Own: "GPU", Message: "none"},
		{Owner: "Job a/x", Own: "GPU", Tries: []Try{{Kind: "GPU", Node: "n"}}},
		{Owner: "Job a/y", Own: "NPU"},
		{Owner: "Job a/x", Own: "GPU", Message: "none"},
	}
	want := []string{
		"right: 2 pods of Job a/x wait for GPU: none",
		"right: 1 pods of Job a/y wait for NPU: the scheduler said nothing",
	}
	if diff := cmp.Diff(want, Lines(waits, Right)); diff != "" {
		t.Errorf("lines (-want +got):\n%s", diff)
	}
}

func TestBeside(t *testing.T) {
	bound := func(own accel.Kind, tries ...Try) *Wait { return &Wait{Own: own, Tries: tries} }
	waits := []*Wait{
		bound("GPU", Try{Kind: "NPU", Node: "b"}),
		bound("GPU", Try{Kind: "NPU", Node: "b"}, Try{Kind: "FPGA", Node: "a"}),
		bound("GPU", Try{Kind: "NPU", Message: "none"}),
		{Own: "GPU", Ending: []time.Duration{1}, Tries: []Try{{Kind: "CPU", Node: "a"}}},
	}
	want := []string{"FPGA of a: 1 pods are stuck beside it", "NPU of b: 2 pods are stuck beside it"}
	if diff := cmp.Diff(want, Beside(waits)); diff != "" {
		t.Errorf("devices (-want +got):\n%s", diff)
	}
}
