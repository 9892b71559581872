package leader

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"heteroaccel.io/pkg/serve/servetest"
)

// hands is a clock that the test sets.
type hands struct {
	mu  sync.Mutex
	now instant
}

func newHands() *hands { return &hands{now: instant{day: time.Unix(1_800_000_000, 0)}} }

func (h *hands) read() instant {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.now
}

// pass moves the clocks, each by its own time.
func (h *hands) pass(day, monotonic time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.now.day, h.now.monotonic = h.now.day.Add(day), h.now.monotonic+monotonic
}

func TestHold(t *testing.T) {
	const limit = 4 * time.Second
	for name, tt := range map[string]struct {
		do   func(*hands, *hold)
		want error
	}{
		"within its time":       {func(c *hands, _ *hold) { c.pass(limit-1, limit-1) }, nil},
		"after its time":        {func(c *hands, _ *hold) { c.pass(limit, limit) }, errExpired},
		"set forward":           {func(c *hands, _ *hold) { c.pass(time.Hour, 0) }, errExpired},
		"the computer slept":    {func(c *hands, _ *hold) { c.pass(5*time.Second, time.Second) }, errExpired},
		"set back":              {func(c *hands, _ *hold) { c.pass(-time.Hour, limit-1) }, nil},
		"set back, and its end": {func(c *hands, _ *hold) { c.pass(-time.Hour, limit) }, errExpired},
		"set forward and back": {func(c *hands, h *hold) {
			c.pass(time.Hour, 0)
			_ = h.check()
			c.pass(-time.Hour, 0)
		}, errExpired},
		"renewed": {func(c *hands, h *hold) {
			c.pass(3*time.Second, 3*time.Second)
			_ = h.renewed(c.read())
			c.pass(limit-1, limit-1)
		}, nil},
		"counted from when it was sent": {func(c *hands, h *hold) {
			sent := c.read()
			c.pass(3*time.Second, 3*time.Second)
			_ = h.renewed(sent)
			c.pass(time.Second, time.Second)
		}, errExpired},
		"renewed too late": {func(c *hands, h *hold) {
			c.pass(3*time.Second, 3*time.Second)
			sent := c.read()
			c.pass(time.Second, time.Second)
			if h.renewed(sent) == nil {
				_ = h.renewed(c.read())
			}
		}, errExpired},
		"another's":            {func(_ *hands, h *hold) { h.lost() }, errLost},
		"another's, then ours": {func(c *hands, h *hold) { h.lost(); _ = h.renewed(c.read()) }, errLost},
	} {
		t.Run(name, func(t *testing.T) {
			c := newHands()
			h := newHold(c.read, limit)
			h.lost() // it never was ours
			if err := h.renewed(c.read()); err != nil {
				t.Fatal(err)
			}
			tt.do(c, h)
			if err := h.check(); !errors.Is(err, tt.want) {
				t.Errorf("error %v, want %v", err, tt.want)
			}
			select {
			case <-h.over:
				if tt.want == nil {
					t.Error("it is over")
				}
			default:
				if tt.want != nil {
					t.Error("it is not over")
				}
			}
		})
	}
}

// TestTooLateToBegin: a Lease that took too long to write begins no term, and the
// next try may.
func TestTooLateToBegin(t *testing.T) {
	c := newHands()
	h := newHold(c.read, 4*time.Second)
	sent := c.read()
	c.pass(4*time.Second, 4*time.Second)
	if err := h.renewed(sent); !errors.Is(err, errExpired) {
		t.Errorf("error %v", err)
	}
	if err := h.renewed(c.read()); err != nil {
		t.Error(err)
	}
}

// TestClockJumps: where the time of day is set forward while a replica leads, its
// term ends, it sends nothing more in it, and another begins. Set back, nothing
// happens.
func TestClockJumps(t *testing.T) {
	t.Parallel()
	s := newLeases(t)
	r := s.replica("a", quick("a"))
	now := sinceNow()
	var mu sync.Mutex
	var jump time.Duration
	r.clock = func() instant {
		mu.Lock()
		defer mu.Unlock()
		i := now()
		i.day = i.day.Add(jump)
		return i
	}
	set := func(by time.Duration) {
		mu.Lock()
		defer mu.Unlock()
		jump += by
	}
	r.run(t)
	servetest.Eventually(t, "it leads", func() bool { return s.worked("a") > 3 })
	set(-time.Hour)
	before := s.worked("a")
	servetest.Eventually(t, "it leads on", func() bool { return s.worked("a") > before+100 })
	if n := r.begun.Load(); n != 1 {
		t.Errorf("%d terms have begun", n)
	}
	set(2 * time.Hour)
	servetest.Eventually(t, "it leads again", func() bool { return r.begun.Load() == 2 })
	if why, _ := r.why.Load().(error); !errors.Is(why, errExpired) {
		t.Errorf("the term ended because %v", why)
	}
}

// sent counts the requests that reach it.
type sent struct{ requests int }

func (s *sent) RoundTrip(*http.Request) (*http.Response, error) {
	s.requests++
	return &http.Response{StatusCode: http.StatusOK, Body: http.NoBody}, nil
}

// body notes that it was closed.
type body struct {
	io.Reader
	closed bool
}

func (b *body) Close() error { b.closed = true; return nil }

// TestFence: what belongs to a term is sent while the Lease is held, whether its
// context has ended or not, and never after.
func TestFence(t *testing.T) {
	c, held := held(t)
	term, cancel := context.WithCancel(held)
	next := &sent{}
	send := func(ctx context.Context, want bool) {
		t.Helper()
		before, b := next.requests, &body{Reader: strings.NewReader("x")}
		r, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://x", b)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := Fence(next).RoundTrip(r)
		if got := next.requests > before; got != want || got != (err == nil) || b.closed == got {
			t.Errorf("sent: %v, want %v; error %v, its body was closed: %v", got, want, err, b.closed)
		}
		if err == nil {
			_ = resp.Body.Close() // it has none
		}
	}
	last := context.WithoutCancel(term)
	send(t.Context(), true)
	send(term, true)
	cancel()
	send(last, true) // what is left, while it is held
	c.pass(4*time.Second, 0)
	send(last, false)
	send(t.Context(), true)
}
