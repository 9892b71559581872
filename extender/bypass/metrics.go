package bypass

import (
	"github.com/prometheus/client_golang/prometheus"
)

// counts are the pods that request a resource and were bound.
type counts struct {
	asked, bypassed int64
}

var (
	askedDesc = prometheus.NewDesc("heteroaccel_extender_asked_pods_total",
		"Pods that request a profile's resource and were bound after this extender was asked about them, by resource.", []string{"resource"}, nil)
	bypassedDesc = prometheus.NewDesc("heteroaccel_extender_bypassed_pods_total",
		"Pods that request a profile's resource and were bound without this extender being asked, by resource.", []string{"resource"}, nil)
)

// Describe implements prometheus.Collector.
func (w *Watcher) Describe(ch chan<- *prometheus.Desc) {
	ch <- askedDesc
	ch <- bypassedDesc
}

// Collect implements prometheus.Collector. Each resource of a profile is there from
// the start, as Prometheus takes no notice of a counter that appears with its first
// count.
func (w *Watcher) Collect(ch chan<- prometheus.Metric) {
	all := map[string]counts{}
	for resource := range w.Profiles.ResourceKinds() {
		all[string(resource)] = counts{}
	}
	w.mu.Lock()
	for resource, n := range w.bound {
		all[resource] = n
	}
	w.mu.Unlock()
	for resource, n := range all {
		ch <- prometheus.MustNewConstMetric(askedDesc, prometheus.CounterValue, float64(n.asked), resource)
		ch <- prometheus.MustNewConstMetric(bypassedDesc, prometheus.CounterValue, float64(n.bypassed), resource)
	}
}
