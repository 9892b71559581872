package profile_test

import (
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"heteroaccel.io/pkg/accel"
	"heteroaccel.io/pkg/profile"
	"heteroaccel.io/pkg/profile/v1alpha1"
	"heteroaccel.io/pkg/servicetime"
)

// TestExpectations follows the time to expect of each kind, and its basis, from
// nothing known to what was learned.
func TestExpectations(t *testing.T) {
	const ms = time.Millisecond
	learned := func(kind accel.Kind, n int, took time.Duration) func(*testing.T, *v1alpha1.InferenceProfile) {
		return func(t *testing.T, in *v1alpha1.InferenceProfile) {
			r := ran(t, in, kind, n, took)[kind]
			e := r.By["a"]
			in.Status.Learned = append(in.Status.Learned, v1alpha1.LearnedTime{
				Accelerator: string(kind), VariantHash: r.Hash, Runs: e.Runs, LastObserved: metav1.NewTime(e.Last),
				Namespaces: []v1alpha1.NamespaceRuns{{ID: "a", Runs: e.Runs, LastObserved: metav1.NewTime(e.Last), Recent: servicetime.Encode(e.Recent)}},
			})
		}
	}
	hint := func(i int, d time.Duration) func(*testing.T, *v1alpha1.InferenceProfile) {
		return func(_ *testing.T, in *v1alpha1.InferenceProfile) {
			in.Spec.Variants[i].ServiceTime = &metav1.Duration{Duration: d}
		}
	}
	speed := func(i int, s float64) func(*testing.T, *v1alpha1.InferenceProfile) {
		return func(_ *testing.T, in *v1alpha1.InferenceProfile) { in.Spec.Variants[i].Speed = &s }
	}
	const gpu, cpu = 0, 1
	tests := map[string]struct {
		steps    []func(*testing.T, *v1alpha1.InferenceProfile)
		gpu, cpu time.Duration
		why      []servicetime.Basis
		known    bool
	}{
		"nothing":              {nil, time.Second, 2 * time.Second, []servicetime.Basis{servicetime.ProfileOrder, servicetime.ProfileOrder}, false},
		"speeds":               {steps(speed(gpu, 6), speed(cpu, 1)), time.Second, 6 * time.Second, []servicetime.Basis{servicetime.Speed, servicetime.Speed}, false},
		"one hint":             {steps(hint(gpu, 76*ms)), 76 * ms, 152 * ms, []servicetime.Basis{servicetime.Hinted, servicetime.ProfileOrder}, true},
		"a hint and speeds":    {steps(speed(gpu, 6), speed(cpu, 1), hint(cpu, 3*time.Second)), 500 * ms, 3 * time.Second, []servicetime.Basis{servicetime.Speed, servicetime.Hinted}, true},
		"one run":              {steps(learned("CPU", 1, 9*time.Second)), 4500 * ms, 9 * time.Second, []servicetime.Basis{servicetime.ProfileOrder, servicetime.Learned}, true},
		"a run against a hint": {steps(hint(gpu, 2*time.Second), learned("GPU", 1, time.Second)), 2 * time.Second, 4 * time.Second, []servicetime.Basis{servicetime.Hinted, servicetime.ProfileOrder}, true},
		"runs against a hint":  {steps(hint(gpu, 2*time.Second), learned("GPU", 3, time.Second)), time.Second, 2 * time.Second, []servicetime.Basis{servicetime.Learned, servicetime.ProfileOrder}, true},
		"runs that confirm it": {steps(hint(gpu, time.Second), learned("GPU", 3, time.Second)), time.Second, 2 * time.Second, []servicetime.Basis{servicetime.Learned, servicetime.ProfileOrder}, true},
		"runs far from it":     {steps(hint(gpu, 9*time.Second), learned("GPU", 3, time.Second)), 2250 * ms, 4500 * ms, []servicetime.Basis{servicetime.Learned, servicetime.ProfileOrder}, true},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			in := gpuAndCPU()
			in.Spec.Variants[gpu].ServiceTime = nil
			for _, step := range tt.steps {
				step(t, in)
			}
			p, err := profile.New(in)
			if err != nil {
				t.Fatal(err)
			}
			for i, want := range []time.Duration{tt.gpu, tt.cpu} {
				v := p.Variants[i]
				if v.Estimate != want || v.Basis != tt.why[i] {
					t.Errorf("%s: %s is expected (%v), want %s (%v)", v.Kind, v.Estimate, v.Basis, want, tt.why[i])
				}
				if !tt.known {
					want = 0
				}
				if got := p.Time(v.Kind); got != want {
					t.Errorf("%s: the time of pods that run is %s, want %s", v.Kind, got, want)
				}
			}
			if got := p.Time("NPU"); got != 0 {
				t.Errorf("%s for a kind with no variant", got)
			}
		})
	}
}

func steps(s ...func(*testing.T, *v1alpha1.InferenceProfile)) []func(*testing.T, *v1alpha1.InferenceProfile) {
	return s
}
