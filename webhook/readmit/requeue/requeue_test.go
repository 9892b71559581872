package requeue

import (
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/rs/zerolog"
	"k8s.io/apimachinery/pkg/types"

	"heteroaccel.io/pkg/inventory"
	"heteroaccel.io/webhook/readmit/pending"
	"heteroaccel.io/webhook/readmit/podapi"
	"heteroaccel.io/webhook/refusals"
)

var start = time.Unix(1_700_000_000, 0)

// rig is a requeuer whose tasks are counted instead of run.
type rig struct {
	*Requeuer
	tasks int
}

func newRig() *rig {
	r := &rig{}
	r.Requeuer = New(Config{
		Pods: &podapi.Client{Log: zerolog.Nop()}, Refusals: refusals.New(func() time.Time { return start }),
		Requeues: prometheus.NewCounter(prometheus.CounterOpts{}), Verdicts: prometheus.NewCounter(prometheus.CounterOpts{}),
		Go: func(func()) { r.tasks++ },
	})
	return r
}

// group waits for a GPU of which so many are usable; the scheduler found no node
// for its second pod.
func group(usable int64) *pending.Group {
	t := &pending.Template{RefusalGroup: "group", Kind: "GPU"}
	own := inventory.Candidate{Option: inventory.Option{Kind: "GPU"}, Usable: usable, Nodes: 1}
	return &pending.Group{Template: t, Own: own, Candidates: []inventory.Candidate{own}, Pods: []*pending.Pod{
		{Name: "a", UID: "a", Template: t},
		{Name: "b", UID: "b", Template: t, Unschedulable: true, Verdict: "0/1 nodes are available", VerdictSince: start},
	}}
}

// TestRequeue: the scheduler has a moment to look again by itself, then the first
// pod it rejected is requeued, after longer and longer pauses.
func TestRequeue(t *testing.T) {
	r, g := newRig(), group(1)
	now := start
	if wait := r.Requeue(t.Context(), g, now); wait != schedulerGrace || r.tasks != 0 {
		t.Errorf("at once it waits %s and has requeued %d, want %s and none", wait, r.tasks, schedulerGrace)
	}
	now = now.Add(schedulerGrace)
	for i, pause := range []time.Duration{2 * time.Second, 4 * time.Second, 8 * time.Second} {
		r.Requeue(t.Context(), g, now)
		if r.tasks != i+1 {
			t.Fatalf("after %s it has requeued %d times, want %d", now.Sub(start), r.tasks, i+1)
		}
		if wait := r.Requeue(t.Context(), g, now); wait != pause || r.tasks != i+1 {
			t.Errorf("after requeue %d it waits %s, want %s", i+1, wait, pause)
		}
		now = now.Add(pause)
	}
	r.Keep(func(types.UID) bool { return false }, func(*pending.Template) bool { return false })
	if len(r.requeued)+len(r.usableSince) != 0 {
		t.Errorf("%d pods and %d templates are remembered, want none", len(r.requeued), len(r.usableSince))
	}
	none := group(0)
	if wait := r.Requeue(t.Context(), none, now); wait != 0 || len(r.usableSince) != 0 {
		t.Errorf("with nothing usable it waits %s", wait)
	}
}

// TestAcceptVerdict: the scheduler's verdict on a usable kind counts once it had
// time to look again, and until there is more of the kind.
func TestAcceptVerdict(t *testing.T) {
	r, g := newRig(), group(1)
	if wait := r.AcceptVerdict(g, start); wait != inventory.VerdictGrace {
		t.Errorf("at once it waits %s, want %s", wait, inventory.VerdictGrace)
	}
	// A verdict given after the kind became usable counts sooner.
	g.Pods[1].VerdictSince = start.Add(time.Second)
	if wait := r.AcceptVerdict(g, start.Add(time.Second)); wait != freshVerdictGrace {
		t.Errorf("after a fresh verdict it waits %s, want %s", wait, freshVerdictGrace)
	}
	if r.Refusals.HasVerdicts() {
		t.Error("a verdict was accepted too soon")
	}
	r.AcceptVerdict(g, start.Add(time.Second+freshVerdictGrace))
	if why := r.Refusals.Refusal(refusals.Owner{}, "group", "GPU"); why == nil || testutil.ToFloat64(r.Verdicts) != 1 {
		t.Errorf("the verdict is not accepted: %v", why)
	}
	g.Candidates[0].Usable, g.Pods = 2, g.Pods[:1]
	r.AcceptVerdict(g, start.Add(time.Minute))
	if why := r.Refusals.Refusal(refusals.Owner{}, "group", "GPU"); why != nil {
		t.Errorf("the verdict counts although there is more of the kind: %v", why)
	}
}

// TestVerdictOfBefore: what the scheduler said before a term began counts only once its
// watches are back for certain; what it said in the term counts as ever.
func TestVerdictOfBefore(t *testing.T) {
	tests := map[string]struct {
		usable, verdict time.Duration // since the term began
		wait            time.Duration // from when the kind became usable
	}{
		"as the term began":  {0, -time.Second, watchPause + inventory.VerdictGrace},
		"half a minute in":   {30 * time.Second, 0, watchPause - 30*time.Second + inventory.VerdictGrace},
		"later in the term":  {2 * time.Minute, time.Minute, inventory.VerdictGrace},
		"a fresh verdict":    {0, time.Second, time.Second + freshVerdictGrace},
		"said in this term":  {30 * time.Second, 10 * time.Second, inventory.VerdictGrace},
		"a fresh one, later": {2 * time.Minute, 2*time.Minute + time.Second, time.Second + freshVerdictGrace},
	}
	for name, c := range tests {
		t.Run(name, func(t *testing.T) {
			r, g := newRig(), group(1)
			r.Began = start
			g.Pods[1].VerdictSince = start.Add(c.verdict)
			usable := start.Add(c.usable)
			r.AcceptVerdict(g, usable)
			if wait := r.AcceptVerdict(g, usable.Add(c.wait-time.Second)); wait != time.Second || r.Refusals.HasVerdicts() {
				t.Errorf("a second before it waits %s, want 1s; accepted: %t", wait, r.Refusals.HasVerdicts())
			}
			if r.AcceptVerdict(g, usable.Add(c.wait)); !r.Refusals.HasVerdicts() {
				t.Errorf("after %s it is not accepted", c.wait)
			}
		})
	}
}
