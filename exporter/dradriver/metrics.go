package dradriver

import (
	"strings"

	"github.com/prometheus/client_golang/prometheus"

	"heteroaccel.io/pkg/accel"
)

// counts are what the driver has done since it started.
type counts struct {
	prepared, unprepared          outcomes
	publications, publishFailures uint64
}

// outcomes are how calls of the kubelet ended.
type outcomes struct{ done, failed uint64 }

func (c *counts) add(to *outcomes, err error) {
	if err != nil {
		to.failed++
		return
	}
	to.done++
}

func desc(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc(name, help, append([]string{"node"}, labels...), nil)
}

var (
	descDevices = desc("heteroaccel_device_driver_devices", "Devices that the exporter publishes as DRA driver, by kind.", "kind")
	descTainted = desc("heteroaccel_device_driver_tainted_devices", "Those of them that have a taint, by its key.", "kind", "taint")
	descHeld    = desc("heteroaccel_device_driver_withheld", "Always 1: a kind that the exporter was told to serve and does not publish, with the reason.", "kind", "reason")
	descReg     = desc("heteroaccel_device_driver_registered", "Whether the kubelet has registered the driver: 1 yes, 0 no.")
	descClaims  = desc("heteroaccel_device_driver_prepared_claims", "Claims whose devices containers can be given now.")
	descCalls   = desc("heteroaccel_device_driver_calls_total", "Claims that the kubelet had prepared and unprepared, by how that ended.", "call", "outcome")
	descWrites  = desc("heteroaccel_device_driver_publications_total", "How often what is published changed.")
	descFailed  = desc("heteroaccel_device_driver_publish_failures_total", "How often ResourceSlices could not be written; each is tried again.")
)

// Describe implements prometheus.Collector.
func (d *Driver) Describe(ch chan<- *prometheus.Desc) {
	for _, one := range []*prometheus.Desc{descDevices, descTainted, descHeld, descReg, descClaims, descCalls, descWrites, descFailed} {
		ch <- one
	}
}

// Collect implements prometheus.Collector.
func (d *Driver) Collect(ch chan<- prometheus.Metric) {
	gauge := func(desc *prometheus.Desc, value float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, value, append([]string{d.config.Node}, labels...)...)
	}
	counter := func(desc *prometheus.Desc, value uint64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(desc, prometheus.CounterValue, float64(value), append([]string{d.config.Node}, labels...)...)
	}
	if claims, err := d.files.Claims(); err == nil {
		gauge(descClaims, float64(len(claims)))
	}
	registered := 0.0
	if d.registered.Load() {
		registered = 1
	}
	gauge(descReg, registered)
	d.mu.Lock()
	defer d.mu.Unlock()
	published, tainted := map[accel.Kind]int{}, map[[2]string]int{}
	for _, one := range d.state.devices {
		kind := accel.Kind(strings.ToUpper(*one.Attributes[accel.AttributeKind].StringValue))
		published[kind]++
		for _, t := range one.Taints {
			tainted[[2]string{string(kind), t.Key}]++
		}
	}
	for _, kind := range d.config.Kinds {
		gauge(descDevices, float64(published[kind]), string(kind))
		for _, key := range []string{accel.TaintUnhealthy, accel.TaintInUse} {
			gauge(descTainted, float64(tainted[[2]string{string(kind), key}]), string(kind), strings.TrimPrefix(key, accel.DeviceDriver+"/"))
		}
		if w, ok := d.state.withheld[kind]; ok {
			gauge(descHeld, 1, string(kind), string(w.Reason))
		}
	}
	c := d.state.counts
	for call, o := range map[string]outcomes{"prepare": c.prepared, "unprepare": c.unprepared} {
		counter(descCalls, o.done, call, "done")
		counter(descCalls, o.failed, call, "failed")
	}
	counter(descWrites, c.publications)
	counter(descFailed, c.publishFailures)
}
