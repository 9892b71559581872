package telemetry

import (
	"time"

	"heteroaccel.io/pkg/accel"
)

// Scrape is one exporter's report: everything it saw of its node at one time.
type Scrape struct {
	// Node is the Kubernetes node's name.
	Node string
	// Time is when the sample was taken, by the clock of whoever scraped it.
	Time time.Time
	// Devices are the node's accelerators, CPU excluded, in the order of
	// kind, then id.
	Devices []accel.Device
	// CPUCores is how many logical cores the machine has, and CPUBusy how
	// many of them were busy on average since the scrape before, 0 to
	// CPUCores. Both 0 when unknown.
	CPUCores, CPUBusy float64
	// Collectors tell how each part of the exporter fared, in the order of
	// their names. A device missing from Devices is gone only when the
	// collector that looks for it succeeded.
	Collectors []Collector
}

// Collector is how one part of the exporter fared in a sample.
type Collector struct {
	// Name is what it looks at: gpu, npu, podresources.
	Name string
	// OK is false when it failed or did not finish in time.
	OK bool
	// Seconds is how long it took.
	Seconds float64
}
