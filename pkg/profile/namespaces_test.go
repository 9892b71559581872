package profile_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"heteroaccel.io/pkg/accel"
	"heteroaccel.io/pkg/profile"
	"heteroaccel.io/pkg/profile/v1alpha1"
	"heteroaccel.io/pkg/servicetime"
)

// TestPoisonedStatus: runs that one namespace reports in any number do not move
// what three others measured, nor, alone, the hint by more than four times.
func TestPoisonedStatus(t *testing.T) {
	in := gpuAndCPU() // a hint of 76 ms for the GPU, none for the CPU
	r, c := startRegistry(t, in)
	write := func(namespace string, kind accel.Kind, n int, took time.Duration) {
		t.Helper()
		if _, err := c.AddRuns(t.Context(), in.Name, ranIn(t, namespace, in, kind, n, took)); err != nil {
			t.Fatal(err)
		}
	}
	want := func(when string, kind accel.Kind, want time.Duration) {
		t.Helper()
		if got := variant(t, r.read(), kind).Expected; got != want {
			t.Errorf("%s: %s is expected on %s, want %s", when, got, kind, want)
		}
	}
	const ms = time.Millisecond
	write("evil", "GPU", 500, time.Hour)
	want("one namespace, too long", "GPU", 4*76*ms)
	write("evil", "GPU", 500, 0)
	want("one namespace, too short", "GPU", 19*ms)
	for i, took := range []time.Duration{2 * time.Second, 3 * time.Second, 4 * time.Second} {
		write(string(rune('a'+i)), "GPU", 3, took)
		write(string(rune('a'+i)), "CPU", 3, took)
	}
	write("evil", "CPU", 500, time.Hour)
	want("beside three", "GPU", 2*time.Second)
	want("beside three", "CPU", 3*time.Second)
	write("evil", "GPU", 500, time.Hour)
	want("beside three, too long", "GPU", 3*time.Second)
}

// TestEarlierStatus: what an earlier version learned is used, and is still there
// once this one has written, until a namespace's own runs replace it.
func TestEarlierStatus(t *testing.T) {
	in := gpuAndCPU()
	hash := variant(t, in, "CPU").Hash
	in.Status.Learned = []v1alpha1.LearnedTime{{
		Accelerator: "CPU", VariantHash: hash, Runs: 40, Recent: "5s 5s 5s 5s",
		Time: metav1.Duration{Duration: 5 * time.Second}, LastObserved: metav1.NewTime(epoch),
	}}
	r, c := startRegistry(t, in)
	for _, want := range []struct {
		expected time.Duration
		runs     int64
		ids      string
	}{{5 * time.Second, 40, ""}, {5 * time.Second, 41, "a earlier"}, {5 * time.Second, 42, "a earlier"}, {time.Second, 3, "a"}} {
		v := variant(t, r.read(), "CPU")
		var ids []string
		for _, n := range r.read().Status.Learned[0].Namespaces {
			ids = append(ids, n.ID)
		}
		if got := strings.Join(ids, " "); v.Expected != want.expected || v.Learned.Runs() != want.runs || got != want.ids {
			t.Errorf("%s is expected after %d runs of %q, want %s after %d of %q", v.Expected, v.Learned.Runs(), got, want.expected, want.runs, want.ids)
		}
		if _, err := c.AddRuns(t.Context(), in.Name, ran(t, in, "CPU", 1, time.Second)); err != nil {
			t.Fatal(err)
		}
	}
	if old := r.read().Status.Learned[0].Recent; old != "" {
		t.Errorf("the earlier version's runs are still written: %s", old)
	}
}

// TestStatusIsBounded: whatever namespaces there are, the status passes the
// schema and stays below a tenth of what the API server takes.
func TestStatusIsBounded(t *testing.T) {
	in := gpuAndCPU()
	in.Spec.Variants = nil
	for i := range 16 {
		in.Spec.Variants = append(in.Spec.Variants, v1alpha1.Variant{Accelerator: fmt.Sprint("K", i), Image: "i", Limits: limits("x.io/k", "1")})
	}
	r, c := startRegistry(t, in)
	longest := 8759*time.Hour + 59*time.Minute + 59*time.Second + 999*time.Millisecond
	for i := range 3 * servicetime.MaxNamespaces {
		runs := map[accel.Kind]profile.Runs{}
		for _, v := range in.Spec.Variants {
			kind := accel.Kind(v.Accelerator)
			maps.Copy(runs, ranIn(t, fmt.Sprintf("namespace-%02d", i), in, kind, servicetime.Window, longest))
		}
		if _, err := c.AddRuns(t.Context(), in.Name, runs); err != nil {
			t.Fatal(err)
		}
	}
	data, err := json.Marshal(r.read())
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d bytes", len(data))
	if len(data) > 150_000 {
		t.Errorf("the profile takes %d bytes", len(data))
	}
	if errs := readSchema(t).validate(t, object(t, data)); len(errs) > 0 {
		t.Error(errs.ToAggregate())
	}
	if n := len(r.read().Status.Learned[3].Namespaces); n != servicetime.MaxNamespaces {
		t.Errorf("%d namespaces are kept", n)
	}
}

// TestReset: another value of the annotation drops what was learned, once; runs
// that were on their way are not added.
func TestReset(t *testing.T) {
	in := gpuAndCPU()
	r, c := startRegistry(t, in)
	annotate := func(value string) {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.current.Annotations = map[string]string{accel.ResetLearnedAnnotation: value}
		r.version++
	}
	learn := func() {
		t.Helper()
		if _, err := c.AddRuns(t.Context(), in.Name, ran(t, in, "CPU", 3, time.Second)); err != nil {
			t.Fatal(err)
		}
	}
	want := func(when string, runs int64, value string) *profile.Profile {
		t.Helper()
		p, err := profile.New(r.read())
		if err != nil {
			t.Fatal(err)
		}
		if got := p.Variant("CPU").Learned.Runs(); got != runs {
			t.Errorf("%s: learned from %d runs, want %d", when, got, runs)
		}
		if diff := cmp.Diff(value, r.read().Status.LearnedReset); diff != "" {
			t.Errorf("%s: reset (-want +got):\n%s", when, diff)
		}
		return p
	}
	status := func() {
		t.Helper()
		if err := c.WriteStatus(t.Context(), withVersion(r), bothHaveNodes()); err != nil {
			t.Fatal(err)
		}
	}
	learn()
	want("at first", 3, "")
	annotate("1700000000")
	if p := want("annotated", 0, ""); !p.ResetPending || !p.LearnedSince.IsZero() {
		t.Errorf("annotated: pending %v, since %v", p.ResetPending, p.LearnedSince)
	}
	before := time.Now()
	status()
	if p := want("written", 0, "1700000000"); p.ResetPending || p.LearnedSince.Before(before.Truncate(time.Second)) {
		t.Errorf("written: pending %v, since %v", p.ResetPending, p.LearnedSince)
	}
	writes := r.writes
	status()
	if r.writes != writes {
		t.Error("a reset that is done is written again")
	}
	learn()
	want("the same value", 3, "1700000000")
	annotate("")
	status()
	want("no value", 3, "1700000000")
	annotate("again")
	learn()
	want("runs on their way", 0, "again")
	learn()
	long := strings.Repeat("x", 200_000)
	annotate(long)
	status()
	if p := want("a long value", 0, r.read().Status.LearnedReset); p.ResetPending {
		t.Error("a long value resets for ever")
	}
	if got := r.read().Status.LearnedReset; len(got) > 80 {
		t.Errorf("the status has %d bytes of a long value", len(got))
	}
	data, err := json.Marshal(r.read().Status)
	if err != nil {
		t.Fatal(err)
	}
	valid := object(t, data)
	if errs := readSchema(t).validate(t, map[string]any{"apiVersion": "heteroaccel.io/v1alpha1", "kind": "InferenceProfile", "metadata": map[string]any{"name": "x"}, "spec": object(t, mustJSON(t, in.Spec)), "status": valid}); len(errs) > 0 {
		t.Error(errs.ToAggregate())
	}
}

func mustJSON(t *testing.T, v any) []byte {
	t.Helper()
	data, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return data
}
