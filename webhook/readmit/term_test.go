package readmit

import (
	"context"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/kubernetes/fake"

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

// TestRecoversNothing: where no pod is recreated, a term looks for none that was, as it may
// have no rights to, and creates claims all the same.
func TestRecoversNothing(t *testing.T) {
	for name, recreates := range map[string]bool{"recreates": true, "does not": false} {
		t.Run(name, func(t *testing.T) {
			p := podtest.AdmittedLate(t, "p", "r", "GPU")
			c := lateConfig(t, p)
			c.Recreate = recreates
			r := New(c)
			r.SetPod(p)
			ctx, cancel := context.WithCancel(t.Context())
			done := make(chan error, 1)
			go func() { done <- r.Run(ctx) }()
			calls := func() (recovers, claims int) {
				for _, a := range c.Client.(*fake.Clientset).Actions() {
					switch {
					case a.Matches("get", "secrets"), a.Matches("list", "pods"):
						recovers++
					case a.Matches("create", "resourceclaims"):
						claims++
					}
				}
				return recovers, claims
			}
			err := wait.PollUntilContextTimeout(ctx, 10*time.Millisecond, time.Minute, true, func(context.Context) (bool, error) {
				recovers, claims := calls()
				return claims > 0 && (recovers > 0 || !recreates), nil
			})
			if err != nil {
				t.Errorf("the pod has no claim, or nothing is recovered: %v", err)
			}
			cancel()
			if err := <-done; err != nil {
				t.Error(err)
			}
			if recovers, _ := calls(); recovers > 0 != recreates {
				t.Errorf("%d calls recover pods", recovers)
			}
		})
	}
}
