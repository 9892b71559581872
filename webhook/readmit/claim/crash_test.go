package claim

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/runtime"
	clienttesting "k8s.io/client-go/testing"
)

// dies has the API server carry out so many calls more, and then none: of the last one it
// carries out nothing, or with after all but the answer.
func (r *rig) dies(calls int, after bool) (died func() bool) {
	n, chain := 0, r.api.ReactionChain
	r.api.PrependReactor("*", "*", func(a clienttesting.Action) (bool, runtime.Object, error) {
		if n++; n == calls && after {
			for _, next := range chain {
				if handled, _, _ := next.React(a); handled {
					break
				}
			}
		}
		return n >= calls, nil, errors.New("the process is dead")
	})
	return func() bool { return n >= calls }
}

// TestKilled: whichever call of a move is the last of a leader's, the next leader gives the
// pod the claim of the kind that its image is of, and that kind's amounts.
func TestKilled(t *testing.T) {
	for _, after := range []bool{false, true} {
		calls := 1
		for ; ; calls++ {
			r := claimed(t)
			died := r.dies(calls, after)
			// What it answers nobody hears.
			_ = r.Move(t.Context(), r.shown(t), "CPU", "it is idle", time.Now())
			if !died() {
				break
			}
			t.Run(fmt.Sprintf("call %d, carried out: %t", calls, after), func(t *testing.T) {
				r.api.ReactionChain = r.api.ReactionChain[1:]
				next := r
				next.Claimer = New(r.Config, r.known)
				p := next.shown(t)
				next.contest(p.Key(), time.Time{}) // as Run does
				if err := next.sync(t.Context(), next.key()); err != nil {
					t.Fatal(err)
				}
				p = next.shown(t)
				next.is(t, p.Template.Kind)
				next.claimFor(t, p.Template.Kind)
				cores := resource.MustParse("1m")
				if p.Template.Kind == "CPU" {
					cores = resource.MustParse("2")
				}
				if got := next.livePod(t).Spec.Containers[0].Resources.Requests.Cpu(); got.Cmp(cores) != 0 {
					t.Errorf("for %s it requests %s of cpu, want %s", p.Template.Kind, got, &cores)
				}
			})
		}
		if calls != 10 {
			t.Errorf("a move takes %d calls, want 9", calls-1)
		}
	}
}
