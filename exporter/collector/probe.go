package collector

import (
	"context"
	"fmt"
	"time"

	"heteroaccel.io/pkg/telemetry"
)

// probe runs one part of the collector until the context ends, and says how it
// fared. What a part returns beside an error is used: one broken card does not
// hide another. A part that hangs, as a read of sysfs can behind a broken
// driver, is left behind; the next scrape waits for the same read instead of
// starting another.
func probe[T any](ctx context.Context, c *Collector, name string, read func(context.Context) (T, error)) (T, telemetry.Collector) {
	start := time.Now()
	done := c.probes.DoChan(name, func() (any, error) {
		// The scrape's own context ends with it, and a read that later
		// scrapes wait for must not. It ends a little before, so that its
		// own error is seen.
		own, cancel := context.WithTimeout(context.WithoutCancel(ctx), c.config.Timeout*9/10)
		defer cancel()
		return read(own)
	})
	var value T
	var err error
	select {
	case r := <-done:
		value, _ = r.Val.(T)
		err = r.Err
	case <-ctx.Done():
		err = fmt.Errorf("did not finish within %s", c.config.Timeout)
	}
	c.note(name, err)
	return value, telemetry.Collector{Name: name, OK: err == nil, Seconds: time.Since(start).Seconds()}
}

// note logs a collector that begins to fail, and one that recovers: not every
// failure, since a scrape comes every few seconds.
func (c *Collector) note(name string, err error) {
	c.mu.Lock()
	before := c.failed[name]
	c.failed[name] = err != nil
	c.mu.Unlock()
	switch {
	case err != nil && !before:
		c.log.Warn().Err(err).Str("collector", name).Msg("collector fails")
	case err == nil && before:
		c.log.Info().Str("collector", name).Msg("collector works again")
	}
}
