package collector

import (
	"context"
	"fmt"
	"time"

	"heteroaccel.io/exporter/discovery"
	"heteroaccel.io/pkg/accel"
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

// noteFaults logs what begins to be wrong with a device, and that it is well
// again or gone; the metrics tell only that it is unhealthy. What was not
// found when not everything could be read is not gone.
func (c *Collector) noteFaults(found []discovery.Device, complete bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	seen := make(map[accel.DeviceKey]bool, len(found))
	for _, d := range found {
		key := d.Key()
		seen[key] = true
		switch before := c.faults[key]; {
		case d.Fault == before:
		case d.Fault == "":
			delete(c.faults, key)
			c.log.Info().Str("kind", string(d.Kind)).Str("device", d.ID).Msg("device works again")
		default:
			c.faults[key] = d.Fault
			c.log.Warn().Str("kind", string(d.Kind)).Str("device", d.ID).Str("model", d.Model).Str("fault", d.Fault).Msg("device cannot be used")
		}
	}
	for key := range c.faults {
		if complete && !seen[key] {
			delete(c.faults, key)
		}
	}
}
