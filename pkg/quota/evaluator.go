package quota

import (
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"heteroaccel.io/pkg/accel"
	"heteroaccel.io/pkg/resources"
)

// An evaluator reads off a pod what a quota for one resource counts, as the pod
// evaluator of the API server does (pkg/quota/v1/evaluator/core of Kubernetes).
type evaluator struct {
	usage func(resources.Amounts, *Usage) int64
	// demands is what every container must set.
	demands Unset
	unit    unit
}

var (
	requestedCPU     = evaluator{func(r resources.Amounts, _ *Usage) int64 { return r.CPU }, UnsetCPU, milliCores}
	requestedMemory  = evaluator{func(r resources.Amounts, _ *Usage) int64 { return r.Memory }, UnsetMemory, byteCount}
	requestedStorage = evaluator{func(r resources.Amounts, _ *Usage) int64 { return r.Storage }, 0, byteCount}

	evaluators = map[corev1.ResourceName]evaluator{
		corev1.ResourceCPU:                      requestedCPU,
		corev1.ResourceRequestsCPU:              requestedCPU,
		corev1.ResourceMemory:                   requestedMemory,
		corev1.ResourceRequestsMemory:           requestedMemory,
		corev1.ResourceEphemeralStorage:         requestedStorage,
		corev1.ResourceRequestsEphemeralStorage: requestedStorage,
		corev1.ResourceLimitsCPU:                {func(_ resources.Amounts, u *Usage) int64 { return u.LimitCPU }, UnsetLimitCPU, milliCores},
		corev1.ResourceLimitsMemory:             {func(_ resources.Amounts, u *Usage) int64 { return u.LimitMemory }, UnsetLimitMemory, byteCount},
		corev1.ResourceLimitsEphemeralStorage:   {func(_ resources.Amounts, u *Usage) int64 { return u.LimitStorage }, 0, byteCount},
	}
)

// evaluatorOf returns the evaluator for a resource; ok is false for one of
// which a pod uses the same whatever its kind, such as pods.
func evaluatorOf(name corev1.ResourceName) (e evaluator, ok bool) {
	if e, ok = evaluators[name]; ok {
		return e, true
	}
	device, ok := strings.CutPrefix(string(name), corev1.DefaultResourceRequestsPrefix)
	if !ok || !accel.IsDeviceResource(corev1.ResourceName(device)) {
		return evaluator{}, false
	}
	return evaluator{usage: func(r resources.Amounts, _ *Usage) int64 { return r.Device(device) }}, true
}

// unit is what amounts of a resource are in.
type unit uint8

const (
	pieces unit = iota
	milliCores
	byteCount
)

func (u unit) read(q *resource.Quantity) int64 {
	if u == milliCores {
		return resources.MilliCores(q)
	}
	return resources.Whole(q)
}

// text is an amount as Kubernetes writes it.
func (u unit) text(n int64) string {
	switch u {
	case milliCores:
		return resource.NewMilliQuantity(n, resource.DecimalSI).String()
	case byteCount:
		return resource.NewQuantity(n, resource.BinarySI).String()
	default:
		return resource.NewQuantity(n, resource.DecimalSI).String()
	}
}
