package readmit

import (
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"heteroaccel.io/pkg/accel"
	"heteroaccel.io/pkg/inventory"
	"heteroaccel.io/pkg/policy"
	"heteroaccel.io/webhook/readmit/choice"
	"heteroaccel.io/webhook/readmit/pending"
	"heteroaccel.io/webhook/readmit/podtest"
	"heteroaccel.io/webhook/refusals"
)

// TestByDeadline: what a pod gains by its deadline is its own, by its position in the
// queue and by when the first of the pods was admitted that it replaces, whichever way it
// has the deadline; and the loop looks again when it may come to miss it.
func TestByDeadline(t *testing.T) {
	const s = time.Second
	r := &term{Readmitter: &Readmitter{Config: Config{
		Policy: policy.EarliestFinish, Rules: choice.Rules{Margin: s}, Refusals: refusals.New(time.Now),
	}}}
	// A run takes 1 s on the GPU, which frees in 3 s, and the next pod starts 1 s later:
	// the first in the queue is done in 5 s, the second in 2 s more. On the NPU that is idle
	// it takes 4.5 s.
	group := &pending.Group{Candidates: []inventory.Candidate{
		{
			Option: inventory.Option{Kind: "GPU", Service: s}, Nodes: 1, Total: 1, Queued: 9,
			Ending: 1, Running: []inventory.Running{{Elapsed: s, Service: 4 * s, Ends: true}},
		},
		{Option: inventory.Option{Kind: "NPU", Service: 4500 * time.Millisecond}, Nodes: 1, Total: 1, Usable: 1},
	}}
	for name, c := range map[string]struct {
		profile, age time.Duration
		deadline     string
		keeps        bool
		again        bool
	}{
		"none":                       {0, 0, "", false, false},
		"it makes it":                {0, 0, "6s", false, true},
		"it does not":                {0, 0, "4800ms", true, false},
		"by its profile":             {4800 * time.Millisecond, 0, "", true, false},
		"not by its own":             {4800 * time.Millisecond, 0, "6s", false, true},
		"it has none":                {4800 * time.Millisecond, 0, "none", false, false},
		"it was created long before": {0, 10 * s, "14800ms", true, false},
		"and makes it":               {0, 10 * s, "16s", false, true},
	} {
		t.Run(name, func(t *testing.T) {
			p, ok := pending.Of(podtest.Admitted(t, "p", "r", func(p *corev1.Pod) {
				p.Spec.RestartPolicy = corev1.RestartPolicyNever
				if c.deadline != "" {
					p.Annotations[accel.DeadlineAnnotation] = c.deadline
				}
			}), podtest.Keys)
			if !ok {
				t.Fatal("the pod does not wait")
			}
			now := podtest.FirstAdmitted.Add(c.age)
			group.Template, group.Deadline = p.Template, c.profile
			d := group.DeadlineOf(p, now)
			got, again := r.byDeadline(group, 0, p, 0, d, now)
			if got.Keeps.IsZero() == c.keeps || c.keeps && (got.Gain <= 0 || !got.Keeps.Equal(podtest.FirstAdmitted.Add(d.Of))) {
				t.Errorf("it gains %s and keeps the deadline at %s, want one: %t", got.Gain, got.Keeps, c.keeps)
			}
			if (again > 0) != c.again {
				t.Errorf("it is looked at again in %s, want that: %t", again, c.again)
			}
		})
	}
}
