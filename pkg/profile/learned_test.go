package profile_test

import (
	"context"
	"encoding/json"
	"net/http"
	"strconv"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"heteroaccel.io/pkg/accel"
	"heteroaccel.io/pkg/profile"
	"heteroaccel.io/pkg/profile/v1alpha1"
	"heteroaccel.io/pkg/servicetime"
)

var epoch = time.Unix(1_700_000_000, 0)

// ran are n runs of the variant for a kind in namespace a, each of the same
// duration.
func ran(t *testing.T, in *v1alpha1.InferenceProfile, kind accel.Kind, n int, took time.Duration) map[accel.Kind]profile.Runs {
	t.Helper()
	return ranIn(t, "a", in, kind, n, took)
}

func ranIn(t *testing.T, namespace string, in *v1alpha1.InferenceProfile, kind accel.Kind, n int, took time.Duration) map[accel.Kind]profile.Runs {
	t.Helper()
	var e servicetime.Estimate
	for i := range n {
		e = e.Observe(took, epoch.Add(time.Duration(i)*time.Second))
	}
	return map[accel.Kind]profile.Runs{kind: {Hash: variant(t, in, kind).Hash, By: map[string]servicetime.Estimate{namespace: e}}}
}

func variant(t *testing.T, in *v1alpha1.InferenceProfile, kind accel.Kind) *profile.Variant {
	t.Helper()
	p, err := profile.New(in)
	if err != nil {
		t.Fatal(err)
	}
	return p.Variant(kind)
}

// TestAddRuns follows a profile through its life: hint, too few runs, enough, a
// restart, an edit.
func TestAddRuns(t *testing.T) {
	in := gpuAndCPU() // a hint of 76 ms for the GPU, none for the CPU
	r, c := startRegistry(t, in)
	write := func(runs map[accel.Kind]profile.Runs) {
		t.Helper()
		if _, err := c.AddRuns(t.Context(), in.Name, runs); err != nil {
			t.Fatal(err)
		}
	}
	want := func(kind accel.Kind, expected time.Duration, samples int64) {
		t.Helper()
		v := variant(t, r.read(), kind) // nothing else is known after a restart
		if v.Expected != expected || v.Learned.Runs() != samples {
			t.Errorf("%s: %s is expected after %d runs, want %s after %d", kind, v.Expected, v.Learned.Runs(), expected, samples)
		}
	}
	want("GPU", 76*time.Millisecond, 0)
	want("CPU", 0, 0)
	const took = 200 * time.Millisecond
	write(ran(t, in, "GPU", servicetime.MinRuns-1, took))
	write(ran(t, in, "CPU", 1, 3*time.Second))
	want("GPU", 76*time.Millisecond, servicetime.MinRuns-1)
	want("CPU", 3*time.Second, 1) // better than nothing
	write(ran(t, in, "GPU", 1, took))
	want("GPU", took, servicetime.MinRuns)

	got := r.read().Status.Learned
	if diff := cmp.Diff([]v1alpha1.LearnedTime{{
		Accelerator: "GPU", Time: metav1.Duration{Duration: took}, Runs: 3,
		LastObserved: metav1.NewTime(epoch.Add(time.Second)), VariantHash: variant(t, in, "GPU").Hash,
		Namespaces: []v1alpha1.NamespaceRuns{{ID: "a", Runs: 3, LastObserved: metav1.NewTime(epoch.Add(time.Second)), Recent: "200ms 200ms 200ms"}},
	}, {
		Accelerator: "CPU", Time: metav1.Duration{Duration: 3 * time.Second}, Runs: 1,
		LastObserved: metav1.NewTime(epoch), VariantHash: variant(t, in, "CPU").Hash,
		Namespaces: []v1alpha1.NamespaceRuns{{ID: "a", Runs: 1, LastObserved: metav1.NewTime(epoch), Recent: "3s"}},
	}}, got); diff != "" {
		t.Errorf("status (-want +got):\n%s", diff)
	}

	// The status passes the schema, whatever the runs were.
	for _, took := range []time.Duration{0, 80 * time.Millisecond, 61500 * time.Millisecond, time.Hour, 1 << 62} {
		write(ran(t, in, "CPU", 5, took))
		data, err := json.Marshal(r.read())
		if err != nil {
			t.Fatal(err)
		}
		if errs := readSchema(t).validate(t, object(t, data)); len(errs) > 0 {
			t.Errorf("runs of %s: %v", took, errs.ToAggregate())
		}
	}

	old := ran(t, in, "GPU", 5, time.Minute)
	r.mu.Lock()
	r.current.Spec.Variants[0].Image = "new"
	r.version++
	r.mu.Unlock()
	want("GPU", 76*time.Millisecond, 0) // at once, before anybody writes
	write(old)
	want("GPU", 76*time.Millisecond, 0)
	if err := c.WriteStatus(t.Context(), withVersion(r), bothHaveNodes()); err != nil {
		t.Fatal(err)
	}
	if left := r.read().Status.Learned; len(left) != 1 || left[0].Accelerator != "CPU" {
		t.Errorf("left of an edited variant: %v", left)
	}
	writes := r.writes
	write(old)
	if r.writes != writes {
		t.Error("nothing was learned, and yet written")
	}
}

func withVersion(r *registry) *v1alpha1.InferenceProfile {
	in := r.read()
	in.ResourceVersion = strconv.Itoa(r.version)
	return in
}

// TestHash: an edit of a variant drops what was learned of it, and of no other.
func TestHash(t *testing.T) {
	before := gpuAndCPU()
	for name, edit := range map[string]func(*v1alpha1.Variant){
		"image":     func(v *v1alpha1.Variant) { v.Image += "x" },
		"hint":      func(v *v1alpha1.Variant) { v.ServiceTime = &metav1.Duration{Duration: time.Second} },
		"speed":     func(v *v1alpha1.Variant) { v.Speed = new(2.) },
		"no hint":   func(v *v1alpha1.Variant) { v.ServiceTime = nil },
		"arguments": func(v *v1alpha1.Variant) { v.Args = append(v.Args, "--fast") },
		"limit":     func(v *v1alpha1.Variant) { v.Limits = limits("gpu.intel.com/i915", "2") },
	} {
		after := gpuAndCPU()
		edit(&after.Spec.Variants[0])
		if variant(t, before, "GPU").Hash == variant(t, after, "GPU").Hash {
			t.Errorf("%s: an edited variant counts as the same", name)
		}
		if variant(t, before, "CPU").Hash != variant(t, after, "CPU").Hash {
			t.Errorf("%s: the variant beside it counts as edited", name)
		}
	}
	if variant(t, before, "GPU").Hash != variant(t, gpuAndCPU(), "GPU").Hash {
		t.Error("the same variant has two hashes")
	}
	// A hash that is in the status of a cluster's profiles.
	if got, want := variant(t, before, "GPU").Hash, "dfded236c73d086b"; got != want {
		t.Errorf("the variant's hash is %s, was %s: what earlier versions learned is lost", got, want)
	}
}

// TestAddRunsFails: a retry is asked for only when nothing was written.
func TestAddRunsFails(t *testing.T) {
	in := gpuAndCPU()
	runs := ran(t, in, "GPU", 3, time.Second)
	tests := map[string]struct {
		name  string
		spoil func(*registry)
		again bool
	}{
		"changed meanwhile": {in.Name, func(r *registry) { r.between = func(r *registry) { r.version++ } }, true},
		"not allowed":       {in.Name, func(r *registry) { r.fails = http.StatusForbidden }, true},
		"a failure inside":  {in.Name, func(r *registry) { r.fails = http.StatusInternalServerError }, false},
		"no such profile":   {"gone", func(*registry) {}, false},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			r, c := startRegistry(t, in)
			tt.spoil(r)
			again, err := c.AddRuns(t.Context(), tt.name, runs)
			if err == nil || again != tt.again {
				t.Errorf("again = %v (%v), want %v", again, err, tt.again)
			}
			if r.writes != 0 {
				t.Error("something was written")
			}
		})
	}
	t.Run("unreachable", func(t *testing.T) {
		_, c := startRegistry(t, in)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if again, err := c.AddRuns(ctx, in.Name, runs); err == nil || !again {
			t.Errorf("again = %v (%v)", again, err)
		}
	})
}

// TestStatusByHand: a profile can be used whatever its status says.
func TestStatusByHand(t *testing.T) {
	in := gpuAndCPU()
	hash := variant(t, in, "GPU").Hash
	for name, l := range map[string]v1alpha1.LearnedTime{
		"another variant's": {Accelerator: "GPU", VariantHash: "0", Runs: 9, Recent: "1s 1s 1s"},
		"no hash":           {Accelerator: "GPU", Runs: 9, Recent: "1s 1s 1s"},
		"no runs":           {Accelerator: "GPU", VariantHash: hash, Runs: 9},
		"nonsense":          {Accelerator: "GPU", VariantHash: hash, Runs: 9, Recent: "a b c"},
		"too few":           {Accelerator: "GPU", VariantHash: hash, Runs: -9, Recent: "1s 1s 1s"},
		"no kind":           {Accelerator: "?", VariantHash: hash, Runs: 9, Recent: "1s 1s 1s"},
	} {
		in.Status.Learned = []v1alpha1.LearnedTime{l}
		if got := variant(t, in, "GPU").Expected; got != 76*time.Millisecond {
			t.Errorf("%s: %s is expected, want the hint", name, got)
		}
	}
}

// TestAddRunsAfterRotation: a namespace that another code stands for now does not
// count twice.
func TestAddRunsAfterRotation(t *testing.T) {
	in := gpuAndCPU()
	r, c := startRegistry(t, in)
	before, after := ranIn(t, "before", in, "GPU", 3, time.Second), ranIn(t, "after", in, "GPU", 2, time.Second)
	gpu := after["GPU"]
	gpu.Formerly = map[string][]string{"after": {"before"}}
	after["GPU"] = gpu
	for _, runs := range []map[accel.Kind]profile.Runs{before, after} {
		if _, err := c.AddRuns(t.Context(), in.Name, runs); err != nil {
			t.Fatal(err)
		}
	}
	learned := variant(t, r.read(), "GPU").Learned
	if len(learned) != 1 || learned[0].Namespace != "after" || learned.Runs() != 5 {
		t.Errorf("learned %+v, want 5 runs of one namespace", learned)
	}
}
