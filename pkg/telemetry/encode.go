package telemetry

import (
	"strconv"
	"strings"

	"heteroaccel.io/pkg/accel"
)

// Encode writes a scrape as the series of the contract. It leaves out what is
// unknown, never writes it as 0, and leaves out the scrape's Time, which the
// reader knows. It replaces bytes that are not UTF-8: a process may have any
// name.
func Encode(s Scrape) []Series {
	e := encoder{node: clean(s.Node)}
	e.add(exporterInfo, 1)
	if s.CPUCores > 0 {
		e.add(cpuCores, s.CPUCores)
		e.add(cpuBusy, s.CPUBusy)
	}
	for _, d := range s.Devices {
		e.device(d)
	}
	for _, c := range s.Collectors {
		e.add(collectorSuccess, boolValue(c.OK), labelCollector, c.Name)
		e.add(collectorDuration, c.Seconds, labelCollector, c.Name)
	}
	return e.series
}

type encoder struct {
	node   string
	series []Series
}

// device appends the series of one device.
func (e *encoder) device(d accel.Device) {
	of := func(name string, value float64, labels ...string) {
		e.add(name, value, append(labels, labelKind, string(d.Kind), labelID, d.ID)...)
	}
	numa := ""
	if d.NUMA != nil {
		numa = strconv.Itoa(*d.NUMA)
	}
	of(deviceInfo, 1, labelResource, d.Resource, labelVendor, d.Vendor, labelModel, d.Model, labelDriver, d.Driver,
		labelNUMA, numa, labelPluginID, d.PluginID)
	e.health(d, of)
	of(deviceSlots, float64(d.Slots))
	if d.Allocated >= 0 {
		of(deviceAllocated, float64(d.Allocated))
	}
	for _, h := range d.Holders {
		of(deviceHolder, float64(h.Slots), labelNamespace, h.Namespace, labelPod, h.Pod, labelContainer, h.Container, labelClaim, h.Claim)
	}
	if d.ExternalUse != "" {
		of(deviceExternalUse, 1, labelCommand, d.ExternalUse)
	}
	if d.Busy != nil {
		of(deviceBusy, *d.Busy)
	}
	if d.BusySeconds != nil {
		of(deviceBusySeconds, *d.BusySeconds)
	}
}

// health appends a device's health. Unknown health is neither 0 nor 1, which a
// rule would take for a fault or for none: it is only in the labels of
// deviceHealthInfo.
func (e *encoder) health(d accel.Device, of func(name string, value float64, labels ...string)) {
	if d.Health != accel.HealthUnknown {
		of(deviceHealthy, boolValue(d.Health == accel.Healthy))
	}
	if d.Health != accel.Healthy {
		of(deviceHealthInfo, 1, labelHealth, d.Health.String(), labelReason, d.Reason)
	}
}

// add appends a series; labels are names and values in turn.
func (e *encoder) add(name string, value float64, labels ...string) {
	m := make(map[string]string, 1+len(labels)/2)
	m[labelNode] = e.node
	for i := 0; i < len(labels); i += 2 {
		m[labels[i]] = clean(labels[i+1])
	}
	e.series = append(e.series, Series{Name: name, Labels: m, Value: value})
}

func clean(s string) string { return strings.ToValidUTF8(s, "\uFFFD") }

func boolValue(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
