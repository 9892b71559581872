package telemetry

import (
	"time"

	"heteroaccel.io/pkg/accel"
)

// Scrape is the telemetry of one node at one time, as its exporter reports it.
type Scrape struct {
	// Node is the Kubernetes node's name.
	Node string
	// Time is when it was scraped, by the clock of the reader.
	Time time.Time
	// Devices are the node's accelerators, CPU excluded, in the order of
	// kind, then id.
	Devices []accel.Device
	// CPUCores is how many logical cores the machine has, and CPUBusy how
	// many of them were busy on average since the previous scrape, 0 to
	// CPUCores. Both are 0 when unknown.
	CPUCores, CPUBusy float64
	// Collectors are the outcomes of the exporter's parts, in the order of
	// their names; none where they were not read, since they are diagnostic. A device that is missing from Devices is gone only when
	// the collector that looks for it succeeded.
	Collectors []Collector
}

// Collector is the outcome of one part of the exporter in a scrape.
type Collector struct {
	// Name is what it reads: gpu, npu, podresources.
	Name string
	// OK is false when it failed or did not finish in time.
	OK bool
	// Seconds is how long it took.
	Seconds float64
}
