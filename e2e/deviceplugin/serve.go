package main

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/rs/zerolog"
	"golang.org/x/sync/errgroup"
)

// serve looks for devices until ctx ends, and runs a plugin for every resource
// of which there has been one. A plugin whose devices are all gone stays: the
// kubelet then shows 0 of them.
func serve(ctx context.Context, o options, log zerolog.Logger) error {
	if info, err := os.Stat(o.dir); err != nil || !info.IsDir() {
		return fmt.Errorf("%s is not a directory: name the kubelet's directory of device plugins", o.dir)
	}
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error {
		tick := time.NewTicker(o.interval)
		defer tick.Stop()
		plugins := map[string]*plugin{}
		problem := ""
		for {
			all, err := accelerators(o.sys)
			problem = tellChange(log, problem, err)
			served := byResource(all, o.naming)
			for resource, devices := range served {
				p, known := plugins[resource]
				if !known {
					p = newPlugin(resource, o, log)
					plugins[resource] = p
				}
				p.Update(devices, time.Now())
				if !known { // after the first Update, so that its list is never empty at first
					group.Go(func() error { return p.Run(ctx) })
				}
			}
			for resource, p := range plugins {
				if _, any := served[resource]; !any {
					p.Update(nil, time.Now())
				}
			}
			select {
			case <-ctx.Done():
				return nil
			case <-tick.C:
			}
		}
	})
	return group.Wait()
}

// tellChange logs a problem that was not there the last time, and returns it.
func tellChange(log zerolog.Logger, before string, err error) string {
	now := ""
	if err != nil {
		now = err.Error()
	}
	if now != "" && now != before {
		log.Warn().Err(err).Msg("not every device can be read")
	}
	return now
}
