package leader

import "github.com/prometheus/client_golang/prometheus"

// Terms counts, under a name, how often this replica has begun to lead.
func (l *Leader) Terms(name string) prometheus.Collector {
	return prometheus.NewCounterFunc(prometheus.CounterOpts{
		Name: name, Help: "Terms of this replica: how often it has begun to lead.",
	}, func() float64 { return float64(l.terms.Load()) })
}
