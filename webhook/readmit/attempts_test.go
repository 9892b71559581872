package readmit

import (
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/types"
)

// TestAttempts: a pod is left alone while it is recreated and for a while after a
// failure; why it is left alone is reported once, and that its ReplicaSet cannot
// adopt the next pod is remembered.
func TestAttempts(t *testing.T) {
	now := time.Unix(1_700_000_000, 0)
	a := newAttempts()
	if busy, notBefore := a.state("p"); busy || !notBefore.IsZero() || len(a.pods) != 0 {
		t.Errorf("before any attempt: busy %v, not before %s", busy, notBefore)
	}
	if !a.begin("p") {
		t.Error("the next pod may not be created first")
	}
	a.keep(nil)
	if busy, _ := a.state("p"); !busy {
		t.Error("it is not busy during the attempt, or forgotten")
	}
	if report := a.end("p", outcome{retryNow: true, rejected: true}, now); !report {
		t.Error("the first rejection is not reported")
	}
	if busy, notBefore := a.state("p"); busy || notBefore.After(now) {
		t.Errorf("another kind cannot be tried at once: busy %v, not before %s", busy, notBefore)
	}
	a.begin("p")
	if report := a.end("p", outcome{deleteFirst: true, rejected: true}, now); report {
		t.Error("a rejection is reported twice")
	}
	if _, notBefore := a.state("p"); !notBefore.Equal(now.Add(retryPause)) {
		t.Errorf("after a failure: not before %s", notBefore)
	}
	if a.begin("p") {
		t.Error("it is forgotten that the next pod cannot be adopted")
	}
	a.end("p", outcome{}, now)
	a.keep(map[types.UID]bool{"p": true})
	if len(a.pods) != 1 {
		t.Error("a pod that is still pending was forgotten")
	}
	if a.keep(nil); len(a.pods) != 0 {
		t.Error("a pod that is not pending any more is remembered")
	}
}

// TestRejectedByAll: where the API server refuses every kind there is, trying the next one
// at once ends at some time.
func TestRejectedByAll(t *testing.T) {
	now := time.Unix(1_700_000_000, 0)
	a := newAttempts()
	for range maxRejections - 1 {
		a.begin("p")
		a.end("p", outcome{retryNow: true, rejected: true}, now)
	}
	if _, notBefore := a.state("p"); notBefore.After(now) {
		t.Errorf("it is left alone for %s before all kinds were tried", notBefore.Sub(now))
	}
	for _, want := range []time.Duration{retryPause, 2 * retryPause, 4 * retryPause} {
		a.begin("p")
		a.end("p", outcome{retryNow: true, rejected: true}, now)
		if _, notBefore := a.state("p"); notBefore.Sub(now) != want {
			t.Errorf("it is left alone for %s, want %s", notBefore.Sub(now), want)
		}
	}
	a.begin("p")
	a.end("p", outcome{retryNow: true}, now)
	a.begin("p")
	a.end("p", outcome{retryNow: true, rejected: true}, now.Add(time.Hour))
	if _, notBefore := a.state("p"); notBefore.After(now.Add(time.Hour)) {
		t.Error("what was rejected before it was moved counts")
	}
}
