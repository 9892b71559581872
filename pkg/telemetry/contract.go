package telemetry

// Series is one metric with its labels and its value.
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
	// Counter is set for a metric that only goes up, except at a restart.
	Counter bool
	// Diagnostic is set for one that only people and alerts look at.
	Diagnostic bool
}

// ExporterInfo is the metric that every exporter has once, with no label but its
// node.
const ExporterInfo = "heteroaccel_exporter_info"

// The names of the contract's metrics.
const (
	exporterInfo      = ExporterInfo
	deviceInfo        = "heteroaccel_device_info"
	deviceHealthy     = "heteroaccel_device_healthy"
	deviceHealthInfo  = "heteroaccel_device_health_info"
	deviceSlots       = "heteroaccel_device_slots"
	deviceAllocated   = "heteroaccel_device_allocated_slots"
	deviceHolder      = "heteroaccel_device_holder_slots"
	deviceExternalUse = "heteroaccel_device_external_use"
	deviceBusy        = "heteroaccel_device_busy_ratio"
	deviceBusySeconds = "heteroaccel_device_busy_seconds_total"
	cpuCores          = "heteroaccel_cpu_cores"
	cpuBusy           = "heteroaccel_cpu_busy_cores"
	collectorSuccess  = "heteroaccel_scrape_collector_success"
	collectorDuration = "heteroaccel_scrape_collector_duration_seconds"
)

// LabelNode is the label that every metric has: the node's name.
const LabelNode = "node"

// The labels of the contract.
const (
	labelNode      = LabelNode
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

// Metrics returns all metrics of the contract, in the order for a reader.
func Metrics() []Metric {
	device := func(more ...string) []string {
		return append([]string{labelNode, labelKind, labelID}, more...)
	}
	one := func(name, help string, labels ...string) Metric {
		return Metric{Name: name, Help: help, Labels: labels}
	}
	busySeconds := one(deviceBusySeconds, "How long the device has worked since the exporter started, where the kernel counts it.", device()...)
	busySeconds.Counter = true
	success := one(collectorSuccess, "Whether this collector of the exporter succeeded: 1 yes, 0 no.", labelNode, labelCollector)
	duration := one(collectorDuration, "How long this collector of the exporter took.", labelNode, labelCollector)
	success.Diagnostic, duration.Diagnostic = true, true
	return []Metric{
		one(exporterInfo, "Always 1: the exporter of this node answered.", labelNode),
		one(deviceInfo, "Always 1: an accelerator of the node, with its description, its extended resource, and its name at the device plugin or DRA driver.",
			device(labelResource, labelVendor, labelModel, labelDriver, labelNUMA, labelPluginID)...),
		one(deviceHealthy, "Whether the device is healthy: 1 yes, 0 no. Absent when that is unknown.", device()...),
		one(deviceHealthInfo, "Always 1: a device that is unhealthy, or whose health is unknown, with the reason.",
			device(labelHealth, labelReason)...),
		one(deviceSlots, "How many pods may share the device.", device()...),
		one(deviceAllocated, "How many slots containers hold, according to the kubelet. Absent when the kubelet could not be asked.", device()...),
		one(deviceHolder, "How many slots of the device this container holds, and through which ResourceClaim, if any.",
			device(labelNamespace, labelPod, labelContainer, labelClaim)...),
		one(deviceExternalUse, "Always 1: a process outside Kubernetes uses the device; command is its name.", device(labelCommand)...),
		one(deviceBusy, "The share of the time since the previous scrape for which the device worked, where the kernel counts it.", device()...),
		busySeconds,
		one(cpuCores, "How many logical cores the machine has.", labelNode),
		one(cpuBusy, "How many cores were busy on average since the previous scrape.", labelNode),
		success, duration,
	}
}
