package telemetry

// Series is one sample of one metric: its name, its labels and its value.
type Series struct {
	Name   string
	Labels map[string]string
	Value  float64
}

// Metric describes a metric of the contract: a gauge, unless it is a Counter.
type Metric struct {
	Name, Help string
	// Labels are the metric's labels in order; the first is always node.
	Labels []string
	// Counter is set for one that only goes up, but for a restart.
	Counter bool
}

// The names of the contract's metrics.
const (
	exporterInfo      = "heteroaccel_exporter_info"
	deviceInfo        = "heteroaccel_device_info"
	deviceHealthy     = "heteroaccel_device_healthy"
	deviceHealthInfo  = "heteroaccel_device_health_info"
	deviceSlots       = "heteroaccel_device_slots"
	deviceAllocated   = "heteroaccel_device_allocated_slots"
	deviceHolder      = "heteroaccel_device_holder_slots"
	deviceOutside     = "heteroaccel_device_external_use"
	deviceBusy        = "heteroaccel_device_busy_ratio"
	deviceBusySeconds = "heteroaccel_device_busy_seconds_total"
	cpuCores          = "heteroaccel_cpu_cores"
	cpuBusy           = "heteroaccel_cpu_busy_cores"
	collectorSuccess  = "heteroaccel_scrape_collector_success"
	collectorDuration = "heteroaccel_scrape_collector_duration_seconds"
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
	labelNUMA      = "numa_node"
	labelPluginID  = "plugin_id"
	labelClaim     = "claim"
	labelNamespace = "namespace"
	labelPod       = "pod"
	labelContainer = "container"
	labelCommand   = "command"
	labelHealth    = "health"
	labelReason    = "reason"
	labelCollector = "collector"
)

// Metrics returns the whole contract, in the order in which it is best read.
func Metrics() []Metric {
	device := func(more ...string) []string {
		return append([]string{labelNode, labelKind, labelID}, more...)
	}
	one := func(name, help string, labels ...string) Metric {
		return Metric{Name: name, Help: help, Labels: labels}
	}
	busySeconds := one(deviceBusySeconds, "For how long the device has worked since the exporter began to look, where the kernel counts it.", device()...)
	busySeconds.Counter = true
	return []Metric{
		one(exporterInfo, "Always 1: the exporter of this node answered.", labelNode),
		one(deviceInfo, "Always 1: an accelerator of the node, what it is, and as what it is served: the extended resource, and what the device plugin or DRA driver calls it.",
			device(labelResource, labelVendor, labelModel, labelDriver, labelNUMA, labelPluginID)...),
		one(deviceHealthy, "Whether the device may be given to a pod: 1 yes, 0 no.", device()...),
		one(deviceHealthInfo, "Always 1: a device that is not known to be healthy, and why: whether it is unhealthy, or that is unknown and it has no heteroaccel_device_healthy.",
			device(labelHealth, labelReason)...),
		one(deviceSlots, "How many pods may share the device.", device()...),
		one(deviceAllocated, "How many slots containers hold, by the kubelet. Absent when the kubelet could not be asked.", device()...),
		one(deviceHolder, "How many slots of the device this container holds, and by which ResourceClaim if by one.",
			device(labelNamespace, labelPod, labelContainer, labelClaim)...),
		one(deviceOutside, "Always 1: a process outside Kubernetes uses the device, with its command.", device(labelCommand)...),
		one(deviceBusy, "The share of the time since the scrape before for which the device worked, where the kernel tells.", device()...),
		busySeconds,
		one(cpuCores, "How many logical cores the machine has.", labelNode),
		one(cpuBusy, "How many cores were busy on average since the scrape before.", labelNode),
		one(collectorSuccess, "Whether this part of the exporter succeeded: 1 yes, 0 no.", labelNode, labelCollector),
		one(collectorDuration, "How long this part of the exporter took.", labelNode, labelCollector),
	}
}
