package leader

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

// instant is a moment by two clocks of this computer: the time of day, which may
// be set, and goes on while the computer sleeps; and one that does neither.
type instant struct {
	day       time.Time
	monotonic time.Duration
}

// clock reads both.
type clock func() instant

// sinceNow is a clock whose monotonic side starts at 0.
func sinceNow() clock {
	start := time.Now()
	return func() instant {
		now := time.Now()
		return instant{day: now.Round(0), monotonic: now.Sub(start)}
	}
}

// since is how long ago an instant was, by the clock that is further on.
func (i instant) since(earlier instant) time.Duration {
	return max(i.monotonic-earlier.monotonic, i.day.Sub(earlier.day))
}

var (
	errExpired = errors.New("the lease was not renewed in time")
	errLost    = errors.New("the lease is another's, or gone")
	errDone    = errors.New("the work of the term has returned")
)

// hold is until when a Lease is held for certain. Once it is over it stays so:
// another replica may have led since. Its methods may be called from any goroutine.
type hold struct {
	clock clock
	// limit is how long it lasts after a renewal, 0 for ever.
	limit time.Duration
	over  chan struct{} // closed when it is over

	mu   sync.Mutex
	held bool
	sent instant // when the last renewal that succeeded was sent
	why  error   // it is over, nil while it is not
}

func newHold(c clock, limit time.Duration) *hold {
	return &hold{clock: c, limit: limit, over: make(chan struct{})}
}

// renewed takes it that the Lease was written, by a request sent then. The error
// is why it is not held all the same: the answer came too late to be of use.
func (h *hold) renewed(sent instant) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.held {
		// What the answer is about may have been read by others long ago.
		if err := h.checkLocked(); err != nil {
			return err
		}
	}
	if took := h.clock().since(sent); h.limit > 0 && took >= h.limit {
		return fmt.Errorf("%w: writing it took %s", errExpired, took.Round(time.Millisecond))
	}
	h.held, h.sent = true, sent
	return nil
}

// lost takes it that the Lease is not ours. Before it was, that is no news.
func (h *hold) lost() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.held {
		h.endLocked(errLost)
	}
}

func (h *hold) end(why error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.endLocked(why)
}

func (h *hold) endLocked(why error) {
	if h.why == nil {
		h.why = why
		close(h.over)
	}
}

// check says why the Lease is not held, nil while it is. It reads the clocks, so
// that it is right at once after the process, or the computer, was suspended.
func (h *hold) check() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.checkLocked()
}

func (h *hold) checkLocked() error {
	if h.why == nil && h.limit > 0 && h.left() <= 0 {
		h.endLocked(errExpired)
	}
	return h.why
}

// left is how much longer it lasts without a renewal. The caller holds the lock.
func (h *hold) left() time.Duration { return h.limit - h.clock().since(h.sent) }

// looks is how often the clocks are read in the time of a limit.
const looks = 20

// expire ends the hold when its time is over, unless ctx ends before.
func (h *hold) expire(ctx context.Context) {
	for h.limit > 0 && h.check() == nil {
		h.mu.Lock()
		left := h.left()
		h.mu.Unlock()
		select {
		case <-ctx.Done():
			return
		case <-h.over:
		case <-time.After(min(max(left, time.Millisecond), h.limit/looks)):
		}
	}
}
