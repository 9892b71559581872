package mutate

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"

	"heteroaccel.io/pkg/accel"
)

// TestScheduler: a pod that names no scheduler of its own gets the one that is set, once,
// and has its own again when the mutation is undone.
func TestScheduler(t *testing.T) {
	const ours = "heteroaccel-scheduler"
	for name, c := range map[string]struct{ has, set, want string }{
		"none":              {"", ours, ours},
		"the default one":   {"default-scheduler", ours, ours},
		"ours already":      {ours, ours, ours},
		"another one":       {"batch", ours, "batch"},
		"nothing is set":    {"default-scheduler", "", "default-scheduler"},
		"none, and not set": {"", "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			p := testProfile(t)
			pod := asked(corev1.Container{Image: "a:1", Args: []string{"-d", "GPU"}})
			pod.Spec.SchedulerName = c.has
			raw, err := json.Marshal(pod)
			if err != nil {
				t.Fatal(err)
			}
			apply := func(pod *Pod) (*Pod, []byte) {
				t.Helper()
				undone, _ := Undo(pod, testKey, "default")
				after, err := Apply(undone, Input{
					Request: accel.Request{Inference: p.Name}, Profile: p, Variant: p.Variant("NPU"), Scheduler: c.set,
					Decision: Decision{Kind: "NPU", Reservation: "r-1"}, Known: knownResource, Keys: testKey, Namespace: "default",
				})
				if err != nil {
					t.Fatal(err)
				}
				before, err := json.Marshal(pod)
				if err != nil {
					t.Fatal(err)
				}
				out, err := patched(before, after, Diff(pod, after, Target{}))
				if err != nil {
					t.Fatal(err)
				}
				return after, out
			}
			after, out := apply(decode(t, raw))
			if after.Spec.SchedulerName != c.want {
				t.Errorf("it got %q, want %q", after.Spec.SchedulerName, c.want)
			}
			if _, again := apply(decode(t, out)); normal(t, again) != normal(t, out) {
				t.Errorf("a second review changes it:\n%s", cmp.Diff(normal(t, out), normal(t, again)))
			}
			undone, ok := Undo(decode(t, out), testKey, "default")
			if !ok || undone.Spec.SchedulerName != c.has {
				t.Errorf("undone it has %q, want %q", undone.Spec.SchedulerName, c.has)
			}
			// Somebody else's change stays.
			changed := decode(t, out)
			changed.Spec.SchedulerName = "another"
			if undone, _ := Undo(changed, testKey, "default"); undone.Spec.SchedulerName != "another" {
				t.Errorf("undone it has %q, want what somebody else wrote", undone.Spec.SchedulerName)
			}
		})
	}
}
