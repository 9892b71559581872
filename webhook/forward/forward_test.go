package forward

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"heteroaccel.io/pkg/serve/servetest"
)

// outcomes is how often reviews ended in a way.
func (r *replica) outcomes(t *testing.T, outcome string) int {
	t.Helper()
	families, err := r.forwarder.Registry.(*prometheus.Registry).Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			for _, l := range m.GetLabel() {
				if l.GetValue() == outcome {
					return int(m.GetHistogram().GetSampleCount())
				}
			}
		}
	}
	t.Fatalf("no outcome %s", outcome)
	return 0
}

// TestForwarded: the leader answers, and knows over whose connection it was asked and
// whether that is the API server's for certain.
func TestForwarded(t *testing.T) {
	for name, authenticated := range map[string]bool{"anybody's": false, "the API server's": true} {
		t.Run(name, func(t *testing.T) {
			l, dir := newLease(), newAuthority(t).directory(t, dnsName)
			a := newReplica(t, dir, l, func(c *Config) { c.Authenticated = authenticated })
			b := newReplica(t, dir, l)
			b.decide = says("b")
			l.take(b.address())
			for range 2 {
				if status, got, err := a.post(t.Context(), "10s", `{"x":1}`); status != http.StatusOK || got != `"b of {\"x\":1}"` || err != nil {
					t.Errorf("%d %s, %v", status, got, err)
				}
			}
			a.Client().CloseIdleConnections()
			if status, got, err := a.post(t.Context(), "10s", `{}`); status != http.StatusOK || err != nil {
				t.Errorf("%d %s, %v", status, got, err)
			}
			if len(b.origins) != 3 || b.origins[0] != b.origins[1] || b.origins[0] == b.origins[2] || b.origins[0].Authenticated != authenticated ||
				!strings.HasPrefix(b.origins[0].Connection, a.forwarder.process+" ") {
				t.Errorf("the leader is told of %+v", b.origins)
			}
			if n := a.outcomes(t, outcomeForwarded); n != 3 {
				t.Errorf("%d were counted", n)
			}
		})
	}
}

// TestLeaderDies: the connection breaks in the middle of a review, and the next leader
// decides it, be that another replica or the one that was asked.
func TestLeaderDies(t *testing.T) {
	for name, next := range map[string]func(l *lease, a, c *replica, here *atomic.Bool){
		"another leads": func(l *lease, _, c *replica, _ *atomic.Bool) { l.take(c.address()) },
		"nobody, then another": func(l *lease, _, c *replica, _ *atomic.Bool) {
			l.take("")
			time.AfterFunc(100*time.Millisecond, func() { l.take(c.address()) })
		},
		"this one leads": func(l *lease, a, _ *replica, here *atomic.Bool) {
			here.Store(true)
			close(a.begun)
			l.take("")
		},
	} {
		t.Run(name, func(t *testing.T) {
			l, dir := newLease(), newAuthority(t).directory(t, dnsName)
			a, b, c := newReplica(t, dir, l), newReplica(t, dir, l), newReplica(t, dir, l)
			asked := make(chan struct{}, 100)
			b.decide = func(_ http.ResponseWriter, r *http.Request) bool {
				asked <- struct{}{}
				<-r.Context().Done()
				return true
			}
			var here atomic.Bool
			a.decide = func(w http.ResponseWriter, r *http.Request) bool { return here.Load() && says("next")(w, r) }
			c.decide = says("next")
			l.take(b.address())
			const n = 20
			var wg sync.WaitGroup
			for range n {
				wg.Go(func() {
					if status, got, err := a.post(t.Context(), "10s", `{}`); status != http.StatusOK || !strings.Contains(got, "next of") || err != nil {
						t.Errorf("%d %s, %v", status, got, err)
					}
				})
			}
			for range n {
				<-asked
			}
			b.Listener.Close()
			b.CloseClientConnections()
			next(l, a, c, &here)
			wg.Wait()
		})
	}
}

// TestPaused: a leader that takes a review and does not answer costs time and no
// review: neither when another leads, nor when it goes on.
func TestPaused(t *testing.T) {
	l, dir := newLease(), newAuthority(t).directory(t, dnsName)
	a, b, c := newReplica(t, dir, l), newReplica(t, dir, l), newReplica(t, dir, l)
	var once sync.Once
	asked := make(chan struct{})
	b.decide = func(w http.ResponseWriter, r *http.Request) bool {
		first := false
		once.Do(func() { first = true })
		if first {
			close(asked)
			<-r.Context().Done()
			return true
		}
		return says("b")(w, r)
	}
	l.take(b.address())
	start := time.Now()
	if status, got, err := a.post(t.Context(), "3s", `{}`); status != http.StatusOK || !strings.Contains(got, "b of") || err != nil {
		t.Errorf("asked again: %d %s, %v", status, got, err)
	}
	t.Logf("asked again after %s", time.Since(start))
	if testutil.ToFloat64(a.forwarder.metrics.failures) != 1 {
		t.Error("the attempt was not counted")
	}

	once, asked = sync.Once{}, make(chan struct{})
	c.decide = says("c")
	go func() {
		<-asked
		start = time.Now()
		l.take(c.address())
	}()
	if status, got, err := a.post(t.Context(), "30s", `{}`); status != http.StatusOK || !strings.Contains(got, "c of") || err != nil {
		t.Errorf("another leads: %d %s, %v", status, got, err)
	}
	if took := time.Since(start); took > 5*time.Second { // one attempt alone could take 10 s
		t.Errorf("the next leader answered %s after it led", took)
	}
}

// TestNobodyLeads: a review is held until somebody leads, for as long as the API
// server waits and no longer.
func TestNobodyLeads(t *testing.T) {
	l, dir := newLease(), newAuthority(t).directory(t, dnsName)
	a := newReplica(t, dir, l)
	start := time.Now()
	status, got, err := a.post(t.Context(), "1s", `{}`)
	if took := time.Since(start); status != http.StatusServiceUnavailable || !strings.Contains(got, "no replica of the webhook that leads answered in time: none is known") || err != nil || took > time.Second {
		t.Errorf("%d %s after %s, %v", status, got, took, err)
	}
	if n := a.outcomes(t, outcomeTimedOut); n != 1 {
		t.Errorf("%d were counted", n)
	}
	answered := make(chan string, 1)
	go func() {
		_, got, err := a.post(t.Context(), "30s", `{}`)
		answered <- fmt.Sprint(got, err)
	}()
	servetest.Eventually(t, "it is held", func() bool { return testutil.ToFloat64(a.forwarder.metrics.held) == 1 })
	ctx, cancel := context.WithCancel(t.Context())
	go func() { _, _, _ = a.post(ctx, "30s", `{}`) }() // it is abandoned
	servetest.Eventually(t, "another is", func() bool { return testutil.ToFloat64(a.forwarder.metrics.held) == 2 })
	cancel()
	servetest.Eventually(t, "it is abandoned", func() bool { return a.outcomes(t, outcomeAbandoned) == 1 })
	b := newReplica(t, dir, l)
	b.decide = says("b")
	l.take(b.address())
	if got := <-answered; !strings.Contains(got, "b of") {
		t.Error(got)
	}
}

// TestNoLoops: replicas each of which takes the other for the leader do not forward
// what was forwarded.
func TestNoLoops(t *testing.T) {
	toB, toA, dir := newLease(), newLease(), newAuthority(t).directory(t, dnsName)
	a, b := newReplica(t, dir, toB), newReplica(t, dir, toA)
	toB.take(b.address())
	toA.take(a.address())
	status, got, err := a.post(t.Context(), "1s", `{}`)
	if status != http.StatusServiceUnavailable || !strings.Contains(got, "standing by") || err != nil {
		t.Errorf("%d %s, %v", status, got, err)
	}
	if a.forwardedHere() != 0 || b.forwardedHere() == 0 {
		t.Errorf("%d came back, of %d", a.forwardedHere(), b.forwardedHere())
	}
}

// TestHeldIsBounded: what is held at a time is bounded, in number and bytes.
func TestHeldIsBounded(t *testing.T) {
	l, dir := newLease(), newAuthority(t).directory(t, dnsName)
	a := newReplica(t, dir, l)
	a.decide = says("a")
	for name, hold := range map[string]func() (release func()){
		"number": func() func() {
			var releases []func()
			for range maxHeld {
				r, _ := a.forwarder.reserve(0)
				releases = append(releases, r)
			}
			return func() {
				for _, r := range releases {
					r()
				}
			}
		},
		"bytes": func() func() { r, _ := a.forwarder.reserve(maxHeldBytes); return r },
	} {
		release := hold()
		status, got, err := a.post(t.Context(), "1s", `{}`)
		if status != http.StatusServiceUnavailable || !strings.Contains(got, "too many reviews wait") || err != nil {
			t.Errorf("%s: %d %s, %v", name, status, got, err)
		}
		release()
		if status, got, err := a.post(t.Context(), "1s", `{}`); status != http.StatusOK || err != nil {
			t.Errorf("%s, released: %d %s, %v", name, status, got, err)
		}
	}
	if held := testutil.ToFloat64(a.forwarder.metrics.held); held != 0 {
		t.Errorf("%v are held", held)
	}
}

func TestWindow(t *testing.T) {
	for timeout, want := range map[string]time.Duration{
		"10s": 9500 * time.Millisecond, "5s": 4500 * time.Millisecond, "1s": 500 * time.Millisecond, "200ms": 100 * time.Millisecond,
		"": 9500 * time.Millisecond, "soon": 9500 * time.Millisecond, "-1s": 9500 * time.Millisecond, "0s": 9500 * time.Millisecond, "24h": 29500 * time.Millisecond,
	} {
		if got := window(timeout); got != want {
			t.Errorf("%q: %s, want %s", timeout, got, want)
		}
	}
	if p := pause(1 << 40); p != 500*time.Millisecond || pause(0) <= 0 {
		t.Errorf("the pauses are %s to %s", pause(0), p)
	}
}
