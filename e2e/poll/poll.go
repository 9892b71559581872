// Package poll waits for what nobody tells of.
package poll

import (
	"context"
	"fmt"
	"time"
)

// every is how often is looked.
const every = 50 * time.Millisecond

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
