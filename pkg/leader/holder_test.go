package leader

import (
	"context"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"heteroaccel.io/pkg/serve/servetest"
)

// addressed is a replica that others reach at an address.
func (s *leases) addressed(name, address string) *replica {
	r := s.replica(name, quick(name))
	r.Address = address
	return r
}

// TestOther: each replica knows where the one that leads is reached, at once.
func TestOther(t *testing.T) {
	t.Parallel()
	s := newLeases(t)
	a, b, c := s.addressed("a", "10.0.0.1:8443"), s.addressed("b", "[fd00::2]:8443"), s.addressed("c", "10.0.0.3:8443")
	knows := func(r *replica, want string) func() bool {
		return func() bool { address, _ := r.Other(); return address == want }
	}
	if err := b.Led(); err == nil {
		t.Error("it is led before the lease was read")
	}
	stop := a.run(t)
	servetest.Eventually(t, "one leads", func() bool { return s.worked("a") > 3 })
	b.run(t)
	servetest.Eventually(t, "another knows", knows(b, "10.0.0.1:8443"))
	if address, _ := a.Other(); address != "" || a.Led() != nil || b.Led() != nil {
		t.Errorf("the leader knows %q; led: %v and %v", address, a.Led(), b.Led())
	}
	_, changed := b.Other()
	stop()
	select {
	case <-changed:
	case <-time.After(10 * time.Second):
		t.Error("it was not told that the leader has gone")
	}
	servetest.Eventually(t, "it leads", func() bool { return s.worked("b") > 3 })
	if address, _ := b.Other(); address != "" {
		t.Errorf("it forwards to itself at %s", address)
	}
	c.run(t)
	servetest.Eventually(t, "a third one knows", knows(c, "[fd00::2]:8443"))

	// One that has ended, and still has reviews, follows the others.
	ctx, cancel := context.WithCancel(t.Context())
	followed := make(chan struct{})
	go func() { a.Follow(ctx); close(followed) }()
	servetest.Eventually(t, "the one that ended knows", knows(a, "[fd00::2]:8443"))
	cancel()
	<-followed
}

// TestAddressOfAnother: the address in a Lease is of its holder alone.
func TestAddressOfAnother(t *testing.T) {
	t.Parallel()
	s := newLeases(t)
	a, b := s.addressed("a", "10.0.0.1:8443"), s.addressed("b", "10.0.0.2:8443")
	a.run(t)
	servetest.Eventually(t, "one leads", func() bool { return s.worked("a") > 3 })
	s.steal() // by somebody who leaves the annotation as it was
	servetest.Eventually(t, "the thief is seen", func() bool { return a.Leads() != nil })
	b.run(t)
	servetest.Eventually(t, "one leads again", func() bool {
		address, _ := b.Other()
		if address == "10.0.0.1:8443" && s.held() == "thief" {
			t.Error("the thief is taken to be where the one before was")
		}
		return s.held() == "a" && address == "10.0.0.1:8443" || s.held() == "b"
	})
}

// held is who holds the Lease.
func (s *leases) held() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.lease == nil || s.lease.Spec.HolderIdentity == nil {
		return ""
	}
	return *s.lease.Spec.HolderIdentity
}

// TestLed: nobody is known to lead once the Lease was not written for long.
func TestLed(t *testing.T) {
	t.Parallel()
	s := newLeases(t)
	a := s.replica("a", quick("a"))
	stop := a.run(t)
	servetest.Eventually(t, "one leads", func() bool { return s.worked("a") > 3 })
	stop()
	// It follows, and nobody leads any more.
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go a.Follow(ctx)
	if err := a.Led(); err != nil {
		t.Errorf("right after it ended: %v", err)
	}
	start := time.Now()
	servetest.Eventually(t, "nobody leads", func() bool { return a.Led() != nil })
	if took := time.Since(start); took < a.LeaseDuration {
		t.Errorf("no replica could have taken over within %s", took)
	}
}

// TestLooks: the Lease is looked at often, and written no more often than it must be.
func TestLooks(t *testing.T) {
	t.Parallel()
	s := newLeases(t)
	f := quick("a")
	f.RetryPeriod = time.Second
	var writes, reads atomic.Int32
	count := func(w http.ResponseWriter, r *http.Request, answer http.HandlerFunc) {
		if r.Method == http.MethodGet {
			reads.Add(1)
		} else {
			writes.Add(1)
		}
		answer(w, r)
	}
	s.fail("a", count)
	s.replica("a", f).run(t)
	servetest.Eventually(t, "one leads", func() bool { return s.worked("a") > 3 })
	f.Identity = "b"
	s.fail("b", count)
	s.replica("b", f).run(t)
	writes.Store(0)
	reads.Store(0)
	start := time.Now()
	servetest.Eventually(t, "five renewals", func() bool { return writes.Load() >= 5 })
	if took := time.Since(start); took < 4*time.Second {
		t.Errorf("it was renewed five times in %s", took)
	}
	if n := reads.Load(); n < 8 {
		t.Errorf("the other looked %d times meanwhile", n)
	}
}

// TestReleasedIsTaken: a standby takes a Lease that was released long before a leader
// that was killed would be replaced.
func TestReleasedIsTaken(t *testing.T) {
	t.Parallel()
	s := newLeases(t)
	f := Flags{Elect: true, LeaseDuration: 6 * time.Second, RenewDeadline: 4 * time.Second, RetryPeriod: time.Second} // the defaults
	f.Identity = "a"
	a := s.replica("a", f)
	stop := a.run(t)
	servetest.Eventually(t, "one leads", func() bool { return s.worked("a") > 3 })
	f.Identity = "b"
	b := s.replica("b", f)
	b.run(t)
	servetest.Eventually(t, "the other has read the lease", func() bool { return b.Led() == nil })
	stop()
	start := time.Now()
	servetest.Eventually(t, "the other leads", func() bool { return s.worked("b") > 0 })
	took := time.Since(start)
	t.Logf("after %s", took)
	if took > 2*time.Second {
		t.Errorf("it took %s", took)
	}
}
