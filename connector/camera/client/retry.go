package client

import (
	"context"
	"errors"
	"net/http"
	"time"

	"k8s.io/apimachinery/pkg/util/wait"
)

// pauses are those between tries, unless the connector asks for a longer one.
// Many cameras whose connector restarts must not come back at once.
func pauses() wait.Backoff {
	return wait.Backoff{Duration: 200 * time.Millisecond, Factor: 2, Jitter: 0.5, Steps: 6, Cap: 10 * time.Second}
}

// givesUp reports whether a call of a session that is held is not to be repeated.
// A token that has expired is read again.
func givesUp(err error) bool {
	var p *Problem
	return errors.Is(err, ErrEnded) || errors.As(err, &p) && p.lasting() && p.Status != http.StatusUnauthorized
}

// noToken is that the token could not be read.
type noToken struct{ error }

// refused reports whether a request for a session is not to be repeated.
func refused(err error) bool {
	var p *Problem
	var none noToken
	return errors.As(err, &none) || errors.As(err, &p) && p.lasting()
}

// insist repeats a call until it succeeds or gives up, or ctx ends.
func (c *Client) insist(ctx context.Context, givesUp func(error) bool, call func() error) error {
	backoff := pauses()
	for {
		err := call()
		if err == nil || givesUp(err) {
			return err
		}
		if c.pause(ctx, &backoff, err) != nil {
			return err
		}
	}
}

// pause waits until a call may be repeated, and fails when ctx ends before.
func (c *Client) pause(ctx context.Context, backoff *wait.Backoff, err error) error {
	pause := backoff.Step()
	var p *Problem
	if errors.As(err, &p) {
		pause = max(pause, p.RetryAfter)
	}
	if c.Retrying != nil && ctx.Err() == nil {
		c.Retrying(err, pause)
	}
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-timer.C:
		return nil
	}
}
