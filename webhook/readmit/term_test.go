package readmit

import (
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"heteroaccel.io/pkg/inventory"
	"heteroaccel.io/webhook/readmit/podtest"
	"heteroaccel.io/webhook/replacement"
)

// TestTermsShareNothing: a replacement that was expected in one term is expected
// neither between terms nor in the next. The pending pods stay.
func TestTermsShareNothing(t *testing.T) {
	c := Config{Keys: podtest.CurrentKeys, Options: podtest.Source(t)}
	c.Inventory, c.Registry = inventory.New(inventory.Options{}), prometheus.NewRegistry()
	r := New(c)
	first := r.newTerm()
	first.expected.Add(replacement.OriginOf("ns", "", "p"), &replacement.Expected{Kind: "GPU", Count: 1}, time.Now())
	first.attempts.begin("u")
	r.SetPod(podtest.Admitted(t, "q", "r"))
	for _, step := range []struct {
		name string
		term *term
		want bool
	}{{"in the term", first, true}, {"between", nil, false}, {"in the next", r.newTerm(), false}} {
		r.current.Store(step.term)
		if _, got := r.Replaces("ns", "", "p", "", inventory.Trusted); got != step.want {
			t.Errorf("%s: expected: %v, want %v", step.name, got, step.want)
		}
		if n := r.pending.Len(); n != 1 {
			t.Errorf("%s: %d pods are pending", step.name, n)
		}
	}
	if busy, _ := r.current.Load().attempts.state("u"); busy {
		t.Error("an attempt of the first term goes on in the second")
	}
}
