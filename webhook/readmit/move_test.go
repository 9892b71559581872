package readmit

import (
	"context"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/kubernetes/fake"
	"k8s.io/client-go/tools/events"

	"heteroaccel.io/pkg/accel"
	"heteroaccel.io/pkg/inventory"
	"heteroaccel.io/pkg/policy"
	"heteroaccel.io/webhook/readmit/podtest"
	"heteroaccel.io/webhook/refusals"
)

// lateConfig is that of a readmitter of pods that are bound late.
func lateConfig(t *testing.T, objects ...*corev1.Pod) Config {
	t.Helper()
	client := fake.NewClientset()
	for _, o := range objects {
		if err := client.Tracker().Add(o); err != nil {
			t.Fatal(err)
		}
	}
	return Config{
		Client: client, Inventory: inventory.New(inventory.Options{}), Options: podtest.LateSource(t), Policy: policy.PricedFinish,
		Keys: podtest.CurrentKeys, Namespace: "heteroaccel-system", Suspended: func() bool { return false },
		Refusals: refusals.New(time.Now), Recorder: events.NewFakeRecorder(100), Registry: prometheus.NewRegistry(), Log: zerolog.Nop(),
	}
}

// reserved reserves a GPU in a configuration's inventory, under an id.
func reserved(c Config, id string) {
	c.Inventory.Decide(inventory.Query{Namespace: "ns", Reservation: id, Options: []inventory.Option{{Kind: "GPU"}}}, func([]inventory.Candidate) int { return 0 })
}

// TestMovesEnd: what is held for a pod that was moved is released when it is seen to be of
// its new kind, when it is pending no more without that having been seen, and when it is
// moved once more.
func TestMovesEnd(t *testing.T) {
	for name, end := range map[string]func(*Readmitter, *term){
		"seen":    func(r *Readmitter, _ *term) { r.SetPod(podtest.AdmittedLate(t, "p", "r", "NPU")) },
		"deleted": func(r *Readmitter, _ *term) { r.DeletePod(types.NamespacedName{Namespace: "ns", Name: "p"}) },
		"bound": func(r *Readmitter, _ *term) {
			p := podtest.AdmittedLate(t, "p", "r", "NPU")
			p.Spec.NodeName = "n"
			r.SetPod(p)
		},
	} {
		t.Run(name, func(t *testing.T) {
			c := lateConfig(t)
			r := New(c)
			term := r.newTerm()
			r.current.Store(term)
			p := podtest.AdmittedLate(t, "p", "r", "GPU")
			r.SetPod(p)
			reserved(c, "first")
			if before := term.moves.begin(p.UID, movedTo{"NPU", "ns", "first"}); before != "" {
				t.Errorf("%q was held before", before)
			}
			end(r, term)
			term.groups(time.Now())
			if _, held := c.Inventory.Reserved("ns", "first"); held || len(term.moves.by) > 0 {
				t.Errorf("the reservation is held: %t, %d moves are remembered", held, len(term.moves.by))
			}
			term.moves.begin(p.UID, movedTo{"NPU", "ns", "second"})
			if before := term.moves.begin(p.UID, movedTo{"CPU", "ns", "third"}); before != "second" {
				t.Errorf("%q was held before, want the second", before)
			}
		})
	}
}

// TestSuspendedCreatesClaims: the switch stops moves. A pod's first claim is no move:
// without it the pod would never run.
func TestSuspendedCreatesClaims(t *testing.T) {
	p := podtest.AdmittedLate(t, "p", "r", "GPU")
	c := lateConfig(t, p)
	c.Suspended = func() bool { return true }
	r := New(c)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- r.Run(ctx) }()
	r.SetPod(p)
	var claims int
	err := wait.PollUntilContextTimeout(t.Context(), 10*time.Millisecond, 30*time.Second, true, func(ctx context.Context) (bool, error) {
		list, err := c.Client.ResourceV1().ResourceClaims("ns").List(ctx, metav1.ListOptions{})
		if err == nil {
			claims = len(list.Items)
		}
		return claims > 0, err
	})
	if err != nil {
		t.Errorf("no claim is created while moves are suspended: %v", err)
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// TestReasonOfTheDecision: a pod that waits is judged by the policy once where it is
// reserved, and the reason is that judgement's.
func TestReasonOfTheDecision(t *testing.T) {
	c := lateConfig(t)
	times := 0
	c.Policy = func(candidates []inventory.Candidate) []policy.Ranked {
		times++
		return policy.PricedFinish(candidates)
	}
	r := New(c)
	term := r.newTerm()
	candidates := []inventory.Candidate{
		{Option: inventory.Option{Kind: "GPU", Service: time.Second}, Nodes: 1, Total: 1},
		{Option: inventory.Option{Kind: "NPU", Service: time.Second}, Nodes: 1, Total: 1, Usable: 1},
	}
	pod := podtest.AdmittedLate(t, "p", "r", "GPU")
	r.SetPod(pod)
	p := r.pending.Get(types.NamespacedName{Namespace: "ns", Name: "p"})
	ranked := term.better(candidates, p, 0, inventory.Deadline{})
	if len(ranked) != 2 || ranked[0].Kind != accel.Kind("NPU") || times != 1 {
		t.Errorf("%d judgements, led by %+v", times, ranked)
	}
}

// TestClaimedOfARefusedOwner: that a kind was refused of another pod of its owner moves no
// pod that is not refused its own claim.
func TestClaimedOfARefusedOwner(t *testing.T) {
	c := lateConfig(t)
	r := New(c)
	term := r.newTerm()
	candidates := []inventory.Candidate{
		{Option: inventory.Option{Kind: "GPU", Service: time.Second}, Nodes: 1, Total: 1, Usable: 1},
		{Option: inventory.Option{Kind: "NPU", Service: time.Second}, Nodes: 1, Total: 1, Usable: 1},
	}
	r.SetPod(podtest.AdmittedLate(t, "p", "r", "GPU"))
	p := r.pending.Get(types.NamespacedName{Namespace: "ns", Name: "p"})
	c.Refusals.Denied(p.RefusalOwner(), "GPU", "no")
	if ranked := term.better(candidates, p, 0, inventory.Deadline{}); ranked != nil {
		t.Errorf("it has its claim, and is moved to %s", ranked[0].Kind)
	}
}
