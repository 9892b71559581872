package leader

import "github.com/prometheus/client_golang/prometheus"

// Gauge is whether this replica leads, under a name: 1 yes, 0 no.
func (l *Leader) Gauge(name string) prometheus.Collector {
	return prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: name, Help: "Whether this replica leads: 1 for one of the replicas, 0 for the others.",
	}, func() float64 {
		if l.Leads() != nil {
			return 0
		}
		return 1
	})
}

// Terms counts, under a name, how often this replica has begun to lead.
func (l *Leader) Terms(name string) prometheus.Collector {
	return prometheus.NewCounterFunc(prometheus.CounterOpts{
		Name: name, Help: "Terms of this replica: how often it has begun to lead.",
	}, func() float64 { return float64(l.terms.Load()) })
}
