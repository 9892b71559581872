package server

import (
	"context"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"heteroaccel.io/pkg/inventory"
	"heteroaccel.io/pkg/policy"
)

// TestTerms: reviews are decided in a term and at no other time.
func TestTerms(t *testing.T) {
	r := newRig(t).paper()
	review := reviewOf(t, pod("p", "face-recognition", "any"))
	expect := func(step string, want int) {
		t.Helper()
		status, answer := r.post(t, review)
		if status != want || (want != http.StatusOK) != strings.Contains(answer, "standing by") {
			t.Errorf("%s: %d: %s", step, status, answer)
		}
		if decides := r.srv.Decides() == nil; decides != (want == http.StatusOK) {
			t.Errorf("%s: decides: %v", step, decides)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	end := r.srv.Begin(ctx)
	expect("in a term", http.StatusOK)
	cancel()
	expect("its context has ended", http.StatusServiceUnavailable)
	end()
	expect("after it", http.StatusServiceUnavailable)
	r.srv.Begin(t.Context())
	expect("in the next", http.StatusOK)
}

// TestTermEndsInBetween: a decision that the end of the term overtakes is not
// answered, and the end waits for it.
func TestTermEndsInBetween(t *testing.T) {
	deciding, goOn := make(chan struct{}), make(chan struct{})
	looked := sync.OnceFunc(func() { close(deciding) })
	r := newRig(t, func(c *Config) {
		c.Policy = func(in []inventory.Candidate) []policy.Ranked {
			looked()
			<-goOn
			return policy.EarliestFinish(in)
		}
	}).paper()
	ctx, cancel := context.WithCancel(t.Context())
	end := r.srv.Begin(ctx)
	answered := make(chan int, 1)
	go func() {
		status, _, err := r.try(reviewOf(t, pod("p", "face-recognition", "any")))
		if err != nil {
			t.Error(err)
		}
		answered <- status
	}()
	<-deciding
	cancel()
	ended := make(chan struct{})
	go func() { end(); close(ended) }()
	select {
	case <-ended:
		t.Error("the term was over while a review was being decided")
	case <-time.After(50 * time.Millisecond):
	}
	close(goOn)
	if status := <-answered; status != http.StatusServiceUnavailable {
		t.Errorf("status %d", status)
	}
	<-ended
}
