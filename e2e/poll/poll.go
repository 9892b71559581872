// Package poll waits: for what no event tells of, and for a time.
//
// A function that is tried, or a time, enters; nil leaves when it succeeds or
// comes, an error when the context ends first.
package poll

import (
	"context"
	"fmt"
	"time"
)

// every is how often is looked.
const every = 100 * time.Millisecond

// Until calls try until it succeeds; its last error is returned when ctx ends
// first.
func Until(ctx context.Context, try func(context.Context) error) error {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		err := try(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%w (%w)", err, context.Cause(ctx))
		case <-tick.C:
		}
	}
}

// SleepUntil returns at a time, or when ctx ends, with its cause.
func SleepUntil(ctx context.Context, at time.Time) error {
	timer := time.NewTimer(time.Until(at))
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-timer.C:
		return nil
	}
}
