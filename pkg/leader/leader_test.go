package leader

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"heteroaccel.io/pkg/serve/servetest"
)

// replica is a leader whose terms write all the time.
type replica struct {
	*Leader
	name   string
	sender *sender
	// running is how many terms work at the moment, terms how many there were, and
	// overlaps how often one began before the work of the last had returned.
	running, begun, overlaps atomic.Int32
	// linger is how long work goes on after its context has ended.
	linger time.Duration
	why    atomic.Value // the last cause
}

func (s *leases) replica(name string, f Flags) *replica {
	return &replica{Leader: s.candidate(name, f), name: name, sender: s.sender(name)}
}

// work writes until the term is over. Its requests do not end with the term: only
// the fence is between them and the API server.
func (r *replica) work(term context.Context) error {
	if r.running.Add(1) > 1 {
		r.overlaps.Add(1)
	}
	defer r.running.Add(-1)
	r.begun.Add(1)
	for {
		_ = r.sender.send(r.sender.request().WithContext(context.WithoutCancel(term)))
		select {
		case <-term.Done():
			r.why.Store(context.Cause(term))
			for end := time.Now().Add(r.linger); time.Now().Before(end); {
				_ = r.sender.send(r.sender.request().WithContext(context.WithoutCancel(term)))
			}
			return term.Err()
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// run runs a replica for the test's time.
func (r *replica) run(t *testing.T) (stop func()) {
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- r.Run(ctx, r.work) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("%s: %v", r.name, err)
		}
		if n := r.overlaps.Load(); n > 0 {
			t.Errorf("%s: %d terms began before the work of the one before had returned", r.name, n)
		}
	})
	t.Cleanup(stop)
	return stop
}

// TestLostAndRegained: whatever takes the Lease away ends the term, and the same
// process begins another when it has the Lease again. Nothing is sent between.
func TestLostAndRegained(t *testing.T) {
	t.Parallel()
	for name, lose := range map[string]func(*leases){"another's": (*leases).steal, "deleted": (*leases).remove} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newLeases(t)
			f := quick("a")
			f.LeaseDuration, f.RenewDeadline = 2*time.Hour, time.Hour // it is not the deadline that ends the term
			r := s.replica("a", f)
			r.linger = 300 * time.Millisecond
			r.run(t)
			servetest.Eventually(t, "it leads", func() bool { return s.worked("a") > 3 && r.Leads() == nil })
			lose(s)
			servetest.Eventually(t, "it knows", func() bool { return r.why.Load() != nil })
			if why, _ := r.why.Load().(error); !errors.Is(why, errLost) {
				t.Errorf("the term ended because %v", why)
			}
			before := s.worked("a")
			servetest.Eventually(t, "the work has returned, or another term has begun", func() bool { return r.running.Load() == 0 || r.begun.Load() > 1 })
			if n := s.worked("a"); r.begun.Load() == 1 && n > before+1 { // one may have been on its way
				t.Errorf("%d writes after the end of the term", n-before)
			}
			servetest.Eventually(t, "it leads again", func() bool { return r.begun.Load() == 2 && s.worked("a") > before+1 })
		})
	}
}

// TestRenewalsStall: whatever becomes of a leader's renewals, it writes nothing from
// the moment at which another replica may lead; and another does.
func TestRenewalsStall(t *testing.T) {
	t.Parallel()
	for name, stalled := range map[string]fault{
		"refused": func(w http.ResponseWriter, _ *http.Request, _ http.HandlerFunc) {
			status(w, http.StatusInternalServerError, "InternalError")
		},
		"unanswered": func(_ http.ResponseWriter, r *http.Request, _ http.HandlerFunc) { <-r.Context().Done() },
		"cut":        func(http.ResponseWriter, *http.Request, http.HandlerFunc) { panic(http.ErrAbortHandler) },
		// One is stored, and its answer comes so late that a leader which counts from
		// the answer would lead on while another does.
		"answered late": answeredLate(1900 * time.Millisecond),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newLeases(t)
			a, b := s.replica("a", quick("a")), s.replica("b", quick("b"))
			a.run(t)
			servetest.Eventually(t, "one leads", func() bool { return s.worked("a") > 3 })
			b.run(t)
			s.fail("a", stalled)
			servetest.Eventually(t, "the other leads", func() bool { return s.worked("b") > 3 })
			if a.Leads() == nil {
				t.Error("both say that they lead")
			}
			s.fail("a", nil)
			// The one that stalled stands by, and leads again once the other is gone.
			s.fail("b", func(_ http.ResponseWriter, r *http.Request, _ http.HandlerFunc) { <-r.Context().Done() })
			before := s.worked("a")
			servetest.Eventually(t, "the first leads again", func() bool { return s.worked("a") > before+3 })
			if n := a.begun.Load(); n != 2 {
				t.Errorf("the first has begun %d terms, want 2", n)
			}
		})
	}
}

// answeredLate stores one write and answers it after a time; none after that is
// answered.
func answeredLate(late time.Duration) fault {
	var writes atomic.Int32
	return func(w http.ResponseWriter, r *http.Request, answer http.HandlerFunc) {
		if writes.Add(1) > 1 {
			<-r.Context().Done()
			return
		}
		answer(w, r)
		select {
		case <-time.After(late):
		case <-r.Context().Done():
		}
	}
}

// TestShutdown: at the end of the program what has begun may still write, and the
// Lease is renewed until that has returned. Then another replica leads at once.
func TestShutdown(t *testing.T) {
	t.Parallel()
	s := newLeases(t)
	a, b := s.replica("a", quick("a")), s.replica("b", quick("b"))
	a.linger = 4 * time.Second // longer than the lease would last
	stop := a.run(t)
	servetest.Eventually(t, "one leads", func() bool { return s.worked("a") > 3 })
	b.run(t)
	before := s.worked("a")
	stop()
	ended := time.Now()
	if n := s.worked("a"); n < before+10 {
		t.Errorf("%d writes while the work returned", n-before)
	}
	s.mu.Lock()
	if s.released != 1 {
		t.Errorf("the lease was released %d times", s.released)
	}
	s.mu.Unlock()
	servetest.Eventually(t, "the other leads", func() bool { return s.worked("b") > 3 })
	t.Logf("the other led %s later", time.Since(ended))
}

// TestWorkReturns: the end of a term's work is the end of the election.
func TestWorkReturns(t *testing.T) {
	t.Parallel()
	failed := errors.New("failed")
	for name, want := range map[string]error{"well": nil, "with an error": failed} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newLeases(t)
			l := s.candidate("a", quick("a"))
			var term context.Context
			if err := l.Run(t.Context(), func(ctx context.Context) error { term = ctx; return want }); !errors.Is(err, want) {
				t.Errorf("error %v, want %v", err, want)
			}
			if s.released != 1 || l.Leads() == nil || Check(term) == nil {
				t.Errorf("the lease was released %d times, leads: %v, the term: %v", s.released, l.Leads(), Check(term))
			}
		})
	}
}

// TestStuckWork: where a term's work does not return, no other begins.
func TestStuckWork(t *testing.T) {
	t.Parallel()
	s := newLeases(t)
	l := s.candidate("a", quick("a"))
	l.patience = 50 * time.Millisecond
	ctx, cancel := context.WithCancel(t.Context())
	stuck := make(chan struct{})
	defer close(stuck)
	err := l.Run(ctx, func(context.Context) error { cancel(); <-stuck; return nil })
	if err == nil {
		t.Error("the election ended well")
	}
}

// TestNoElection: without an election there is one term, for all the time.
func TestNoElection(t *testing.T) {
	t.Parallel()
	l, err := New(Config{Flags: Flags{}})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var term context.Context
	err = l.Run(ctx, func(in context.Context) error {
		term = in
		if err := errors.Join(Check(term), l.Leads()); err != nil {
			t.Error(err)
		}
		cancel()
		<-term.Done()
		return term.Err()
	})
	if err != nil || l.Leads() == nil || Check(term) == nil {
		t.Errorf("error %v; leads: %v, the term: %v", err, l.Leads(), Check(term))
	}
}
