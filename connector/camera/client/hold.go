package client

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"
)

// settled is how long a session must have lived for the next to be asked for at
// once when it ends.
const settled = 10 * time.Second

// endLimit bounds how long a session is tried to be ended.
const endLimit = 10 * time.Second

// Hold has a session until ctx ends, and then ends it. tell is called with the
// session whenever the connector tells of it, by one goroutine at a time, and
// with the zero Session when it has ended, as one that was not renewed in time:
// then another is asked for. It fails when the connector refuses the request, or
// cannot be told of the end.
func (c *Client) Hold(ctx context.Context, ask Request, tell func(Session)) error {
	backoff := pauses()
	for {
		s, err := c.open(ctx, ask)
		switch {
		case err != nil && ctx.Err() != nil && !refused(err):
			return nil // it has been told to stop before there was a session
		case err != nil:
			return err
		}
		began := time.Now()
		tell(s)
		err = c.keep(ctx, s, tell)
		if ctx.Err() != nil {
			return c.finish(ctx, s.ID)
		}
		if !errors.Is(err, ErrEnded) {
			return errors.Join(err, c.finish(ctx, s.ID))
		}
		tell(Session{})
		if time.Since(began) > settled {
			backoff = pauses()
		} else if c.pause(ctx, &backoff, err) != nil {
			return nil
		}
	}
}

// open asks until there is a session. A request that is under way when ctx ends
// is finished: the session must be known to be ended.
func (c *Client) open(ctx context.Context, ask Request) (s Session, err error) {
	err = c.insist(ctx, refused, func() (err error) {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		s, err = c.Create(context.WithoutCancel(ctx), ask, 0)
		return err
	})
	return s, err
}

// finish ends a session although ctx may have ended.
func (c *Client) finish(ctx context.Context, id string) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), endLimit)
	defer cancel()
	err := c.insist(ctx, givesUp, func() error { return c.End(ctx, id) })
	if err != nil {
		return fmt.Errorf("%w: session %s ends by itself once its ttl is over", err, id)
	}
	return nil
}

// keep follows and renews a session until it ends or ctx does.
func (c *Client) keep(ctx context.Context, s Session, tell func(Session)) error {
	ttl, err := time.ParseDuration(s.TTL)
	if err != nil || ttl <= 0 {
		return fmt.Errorf("the connector's session has the ttl %q, which is no time", s.TTL)
	}
	began := time.Now()
	over := func(err error) bool {
		return givesUp(err) && !(errors.Is(err, ErrEnded) && time.Since(began) < unseen)
	}
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return c.follow(ctx, s.ID, over, tell) })
	group.Go(func() error { return c.renewing(ctx, s.ID, over, ttl/renewals) })
	return group.Wait()
}

// unseen is how long another replica of the connector may not know of a session
// that has just been created.
const unseen = 2 * time.Second

// renewals is how often a session is renewed in its ttl: one may fail.
const renewals = 3

func (c *Client) renewing(ctx context.Context, id string, over func(error) bool, every time.Duration) error {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-tick.C:
		}
		err := c.insist(ctx, over, func() error {
			_, err := c.Renew(ctx, id)
			return err
		})
		if err != nil {
			return err
		}
	}
}
