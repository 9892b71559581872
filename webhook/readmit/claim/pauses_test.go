package claim

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// TestAttemptCausesNone: an attempt to create a claim changes the pod, which the feed
// shows; that alone has nobody try again at once. A move, or a claim that is gone, does,
// also one that goes while an attempt is under way.
func TestAttemptCausesNone(t *testing.T) {
	r := newRig(t, "GPU")
	r.answers["create resourceclaims"] = denied("a policy is against it")
	if err := r.Move(t.Context(), r.shown(t), "NPU", "it is idle", time.Now()); err != nil {
		t.Fatal(err)
	}
	try := func(want ...string) {
		t.Helper()
		r.took()
		for range 3 {
			r.shown(t)
			r.Look(r.key())
			r.attempt(t.Context(), r.key())
		}
		if diff := cmp.Diff(want, r.took()); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	}
	once := []string{"get pods", "patch pods", "create resourceclaims"}
	try(once...)
	try()
	r.Gone(claimOf(r.shown(t)), r.key())
	try(once...)
	if err := r.Move(t.Context(), r.shown(t), "GPU", "that is denied", time.Now()); err != nil {
		t.Fatal(err)
	}
	try(once...)
	r.pauses.end(r.key())
	r.during = func() { r.Gone(claimOf(r.pods.Get(r.key())), r.key()) }
	try(append(once, once...)...)
	delete(r.answers, "create resourceclaims")
	if r.pauses.left(r.shown(t), time.Now().Add(maxDenied)) > 0 {
		t.Error("it is left alone for too long")
	}
	r.pauses.end(r.key())
	try(once...)
	r.claimFor(t, "GPU")
	if r.pauses.left(r.shown(t), time.Now()) > 0 {
		t.Error("what has its claim counts as denied")
	}
}
