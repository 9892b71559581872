// Package poll waits: for what no event tells of, and for a time.
//
// A function that is tried, or a time, enters; nil leaves when it succeeds or
// comes, an error when the context or the time for it ends first.
package poll

import (
	"context"
	"fmt"
	"time"
)

// every is how often is looked.
const every = 100 * time.Millisecond

// Until calls try until it succeeds. When ctx ends first, its error is the last one of
// a try that this did not cut short, with the reason why ctx ended.
func Until(ctx context.Context, try func(context.Context) error) error {
	tick := time.NewTicker(every)
	defer tick.Stop()
	var last error
	for {
		err := try(ctx)
		if err == nil {
			return nil
		}
		if ctx.Err() == nil || last == nil {
			last = err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%w (%w)", last, context.Cause(ctx))
		case <-tick.C:
		}
	}
}

// Within is Until for so long at most.
func Within(ctx context.Context, limit time.Duration, try func(context.Context) error) error {
	ctx, cancel := context.WithTimeoutCause(ctx, limit, fmt.Errorf("after %s", limit))
	defer cancel()
	return Until(ctx, try)
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
