package pending

import (
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"heteroaccel.io/pkg/accel"
	"heteroaccel.io/webhook/readmit/podtest"
)

// TestDeadline: a deadline is a pod's own, and not its template's; a pod that does not end
// by itself has none. It counts from what the record says.
func TestDeadline(t *testing.T) {
	with := func(deadline string, policy corev1.RestartPolicy) func(*corev1.Pod) {
		return func(p *corev1.Pod) {
			p.Spec.RestartPolicy = policy
			if deadline != "" {
				p.Annotations[accel.DeadlineAnnotation] = deadline
			}
		}
	}
	b := NewPods(podtest.CurrentKeys)
	for name, c := range map[string]struct {
		change func(*corev1.Pod)
		want   time.Duration
	}{
		"profile": {with("", corev1.RestartPolicyNever), 0},
		"five":    {with("5s", corev1.RestartPolicyNever), 5 * time.Second},
		"six":     {with("6s", corev1.RestartPolicyOnFailure), 6 * time.Second},
		"none":    {with("none", corev1.RestartPolicyNever), accel.NoDeadline},
		"server":  {with("5s", corev1.RestartPolicyAlways), accel.NoDeadline},
	} {
		pod := podtest.Admitted(t, name, name, c.change)
		pod.CreationTimestamp.Time = podtest.FirstAdmitted.Add(time.Hour)
		b.Set(pod, time.Now())
		p, ok := Of(pod, podtest.Keys)
		if !ok || p.Deadline != c.want || !p.First().Equal(podtest.FirstAdmitted) {
			t.Errorf("%s: got %+v, want a deadline of %s from %s", name, p, c.want, podtest.FirstAdmitted)
		}
	}
	if len(b.templates) != 1 {
		t.Errorf("%d templates of pods that differ in their deadline alone, want one", len(b.templates))
	}
	if p := (&Pod{Created: time.Unix(7, 0)}); !p.First().Equal(p.Created) {
		t.Errorf("a pod that replaces none counts from %s, want from its creation", p.First())
	}
}
