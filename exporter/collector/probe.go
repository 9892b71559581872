package collector

import (
	"context"
	"fmt"
	"time"

	"heteroaccel.io/exporter/discovery"
	"heteroaccel.io/pkg/accel"
	"heteroaccel.io/pkg/telemetry"
)

// probe runs one part of the collector until the context ends, and returns its
// outcome. What a part returns with an error is used: one broken card does not
// hide another. A part may hang, as a read of sysfs can in a broken driver: then
// probe returns without it, and the next scrape waits for the same read instead
// of starting another.
func probe[T any](ctx context.Context, c *Collector, name string, read func(context.Context) (T, error)) (T, telemetry.Collector) {
	start := time.Now()
	done := c.probes.DoChan(name, func() (any, error) {
		// Later scrapes may wait for this read, so it must not end with the
		// context of this scrape. Its own ends a little before, so that its
		// error is reported.
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

// note logs when a part begins to fail and when it recovers, but not every
// failure: there is a scrape every few seconds.
func (c *Collector) note(name string, err error) {
	c.mu.Lock()
	before := c.failed[name]
	c.failed[name] = err != nil
	c.mu.Unlock()
	switch {
	case err != nil && !before:
		c.log.Warn().Err(err).Str("collector", name).Msg("collector failed")
	case err == nil && before:
		c.log.Info().Str("collector", name).Msg("collector recovered")
	}
}

// noteFaults logs when a device becomes faulty or usable again. A device that was
// not found is gone only if everything could be read.
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
			c.log.Info().Str("kind", string(d.Kind)).Str("device", d.ID).Msg("device recovered")
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
