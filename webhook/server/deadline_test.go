package server

import (
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"heteroaccel.io/pkg/accel"
	"heteroaccel.io/pkg/inventory"
	"heteroaccel.io/pkg/policy"
	"heteroaccel.io/pkg/profile"
	"heteroaccel.io/pkg/record"
	"heteroaccel.io/webhook/replacement"
)

// run is a pod that ends by itself and prefers the CPU, where it takes 529 ms, over the
// GPU, where it takes 76 ms. deadline is its annotation, "" for none.
func run(deadline string, change ...func(*corev1.Pod)) *corev1.Pod {
	return pod("p", "face-recognition", "cpu,gpu", append([]func(*corev1.Pod){func(p *corev1.Pod) {
		p.Spec.RestartPolicy = corev1.RestartPolicyNever
		if deadline != "" {
			p.Annotations[accel.DeadlineAnnotation] = deadline
		}
	}}, change...)...)
}

// TestDeadline: a pod gets a kind that makes its deadline, its own or else its profile's,
// and its record says from when that counts; a server, which does not end, has none.
func TestDeadline(t *testing.T) {
	server := func(p *corev1.Pod) { p.Spec.RestartPolicy = corev1.RestartPolicyAlways }
	for name, c := range map[string]struct {
		profile time.Duration
		pod     *corev1.Pod
		want    string // the kind
		reason  string // part of it
		counts  bool
	}{
		"none":                           {0, run(""), "CPU", "", false},
		"the CPU makes it":               {0, run("1s"), "CPU", "", true},
		"the GPU alone makes it":         {0, run("200ms"), "GPU", "over the deadline of 200ms", true},
		"neither makes it":               {0, run("50ms"), "CPU", "no kind is expected to be done within the deadline of 50ms", true},
		"its profile's":                  {200 * time.Millisecond, run(""), "GPU", "over the deadline of 200ms", true},
		"its own, not its profile's":     {200 * time.Millisecond, run("1s"), "CPU", "", true},
		"none, whatever its profile has": {200 * time.Millisecond, run("none"), "CPU", "", false},
		"a server":                       {200 * time.Millisecond, run("200ms", server), "CPU", "", false},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, func(cfg *Config) {
				cfg.Policy, cfg.Authenticated = policy.IdleFirst, true
				in := paperProfile("face-recognition")
				if c.profile > 0 {
					in.Spec.Deadline = &metav1.Duration{Duration: c.profile}
				}
				p, err := profile.New(in)
				if err != nil {
					t.Fatal(err)
				}
				cfg.Profiles.Set(p)
			}).paper()
			first, _ := r.admit(t, c.pod)
			if why := first.Annotations[accel.ReasonAnnotation]; selected(first) != c.want || !strings.Contains(why, c.reason) {
				t.Errorf("it got %s, as %q; want %s, with %q", selected(first), why, c.want, c.reason)
			}
			given, ok := record.Of(first.Annotations, "default", testKey)
			if !ok || c.counts != given.FirstAdmitted.Equal(*r.now) || !c.counts && !given.FirstAdmitted.IsZero() {
				t.Errorf("its deadline counts from %s, want that: %t", given.FirstAdmitted, c.counts)
			}
			*r.now = r.now.Add(time.Second) // a second review is of the same pod
			second, _ := r.admit(t, first)
			if second.Annotations[accel.OriginalAnnotation] != first.Annotations[accel.OriginalAnnotation] {
				t.Error("a second review changes its record")
			}
		})
	}
}

// TestDeadlineOfReplacement: the deadline of a pod that replaces another counts from when
// the first of them was admitted, which is carried on even without a deadline.
func TestDeadlineOfReplacement(t *testing.T) {
	for deadline, want := range map[string]struct{ kind, reason string }{
		"":       {"CPU", "it waited for NPU before: CPU is free"},
		"1300ms": {"GPU", "left of its deadline of 1.3s"},
		"900ms":  {"CPU", "its deadline of 900ms has passed"},
	} {
		t.Run(deadline, func(t *testing.T) {
			var first time.Time
			r := newRig(t, func(c *Config) {
				c.Policy, c.Authenticated = policy.IdleFirst, true
				c.Replaces = func(string, types.UID, string, string, inventory.Trust) (replacement.Expected, bool) {
					return replacement.Expected{Count: 1, From: "NPU", FirstAdmitted: first}, true
				}
			}).paper()
			first = r.now.Add(-time.Second)
			p, _ := r.admit(t, run(deadline))
			if why := p.Annotations[accel.ReasonAnnotation]; selected(p) != want.kind || !strings.Contains(why, want.reason) {
				t.Errorf("it got %s, as %q; want %s, with %q", selected(p), why, want.kind, want.reason)
			}
			if given, _ := record.Of(p.Annotations, "default", testKey); !given.FirstAdmitted.Equal(first) {
				t.Errorf("its deadline counts from %s, want %s", given.FirstAdmitted, first)
			}
		})
	}
}
