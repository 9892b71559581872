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

// gauge is the result of /readyz, for Prometheus: an alert on it is the only way to
// notice that no replica decides, and so annotated pods are refused.
func (g *gate) gauge() prometheus.Collector {
	return gaugeOf("heteroaccel_webhook_ready", "Whether this replica is ready and decides: 1 for one of the replicas, 0 for the others.", g.check)
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
