package main

import (
	"errors"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
)

// gate is the check of /readyz; it changes as the program starts up.
type gate struct {
	current atomic.Pointer[func() error]
}

func (g *gate) set(check func() error) { g.current.Store(&check) }

func (g *gate) check() error {
	if check := g.current.Load(); check != nil {
		return (*check)()
	}
	return errors.New("starting")
}

// either passes where one of two checks does, and says what the second says.
func either(first, second func() error) error {
	if first() == nil {
		return nil
	}
	return second()
}

// gauge is the result of /readyz, for Prometheus.
func (g *gate) gauge() prometheus.Collector {
	return gaugeOf("heteroaccel_webhook_ready", "Whether this replica is ready: it decides on reviews, or forwards them to the one that does. 1 for all replicas that are well.", g.check)
}

// gaugeOf is 1 while a check passes, 0 while it does not.
func gaugeOf(name, help string, check func() error) prometheus.Collector {
	return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, func() float64 {
		if check() != nil {
			return 0
		}
		return 1
	})
}
