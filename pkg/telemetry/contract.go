package telemetry

// Series is one sample of one metric: its name, its labels and its value.
type Series struct {
	Name   string
	Labels map[string]string
	Value  float64
}

// Metric describes a metric of the contract. All are gauges.
type Metric struct {
	Name, Help string
	// Labels are the metric's labels in order; the first is always node.
	Labels []string
}

// The names of the contract's metrics.
const (
	exporterInfo      = "heteroaccel_exporter_info"
	deviceInfo        = "heteroaccel_device_info"
	deviceHealthy     = "heteroaccel_device_healthy"
	deviceSlots       = "heteroaccel_device_slots"
	deviceAllocated   = "heteroaccel_device_allocated_slots"
	deviceHolder      = "heteroaccel_device_holder_slots"
	deviceOutside     = "heteroaccel_device_outside_use"
	cpuCores          = "heteroaccel_cpu_cores"
	cpuBusy           = "heteroaccel_cpu_busy_cores"
	collectorSuccess  = "heteroaccel_collector_success"
	collectorDuration = "heteroaccel_collector_duration_seconds"
)

// The labels of the contract.
const (
	labelNode      = "node"
	labelKind      = "kind"
	labelID        = "id"
	labelResource  = "resource"
	labelVendor    = "vendor"
	labelModel     = "model"
	labelDriver    = "driver"
	labelNamespace = "namespace"
	labelPod       = "pod"
	labelContainer = "container"
	labelCommand   = "command"
	labelCollector = "collector"
)

// Metrics returns the whole contract, in the order in which it is best read.
func Metrics() []Metric {
	device := func(more ...string) []string {
		return append([]string{labelNode, labelKind, labelID}, more...)
	}
	return []Metric{
		{exporterInfo, "Always 1: the exporter of this node answered.", []string{labelNode}},
		{deviceInfo, "Always 1: an accelerator of the node, the extended resource it is served as, and what it is.",
			device(labelResource, labelVendor, labelModel, labelDriver)},
		{deviceHealthy, "Whether the device may be given to a pod: 1 yes, 0 no.", device()},
		{deviceSlots, "How many pods may share the device.", device()},
		{deviceAllocated, "How many slots containers hold, by the kubelet. Absent when the kubelet could not be asked.", device()},
		{deviceHolder, "How many slots of the device this container holds.",
			device(labelNamespace, labelPod, labelContainer)},
		{deviceOutside, "Always 1: a process outside Kubernetes uses the device, with its command.", device(labelCommand)},
		{cpuCores, "How many logical cores the machine has.", []string{labelNode}},
		{cpuBusy, "How many cores were busy on average since the scrape before.", []string{labelNode}},
		{collectorSuccess, "Whether this part of the exporter succeeded: 1 yes, 0 no.", []string{labelNode, labelCollector}},
		{collectorDuration, "How long this part of the exporter took.", []string{labelNode, labelCollector}},
	}
}
