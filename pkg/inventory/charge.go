package inventory

import (
	"strings"

	corev1 "k8s.io/api/core/v1"
	resourcehelper "k8s.io/component-helpers/resource"

	"heteroaccel.io/pkg/accel"
	"heteroaccel.io/pkg/resources"
)

// Charge is what a ResourceQuota asks about a pod beyond what its Needs say.
type Charge struct {
	// LimitCPU is what the pod's limits come to in milli-cores, LimitMemory
	// and LimitStorage in bytes.
	LimitCPU, LimitMemory, LimitStorage int64
	// Unset is what at least one container leaves open.
	Unset Unset
	// BestEffort is set for a pod of that quality of service, Terminating for
	// one with a deadline.
	BestEffort, Terminating bool
	PriorityClass           string
}

// Unset is a set of amounts: those that a quota for them demands of every
// container.
type Unset uint8

const (
	unsetCPU Unset = 1 << iota
	unsetMemory
	unsetLimitCPU
	unsetLimitMemory
)

// ChargeOf reads a pod. Nothing of its status but resized resources counts.
func ChargeOf(pod *corev1.Pod) Charge {
	limits := resourcehelper.PodLimits(pod, resourcehelper.PodResourcesOptions{UseStatusResources: true})
	c := Charge{
		LimitCPU:      resources.MilliCores(limits.Cpu()),
		LimitMemory:   resources.Bounded(limits.Memory().Value()),
		LimitStorage:  resources.Bounded(limits.StorageEphemeral().Value()),
		BestEffort:    !computes(pod.Spec.Resources),
		Terminating:   pod.Spec.ActiveDeadlineSeconds != nil && *pod.Spec.ActiveDeadlineSeconds >= 0,
		PriorityClass: pod.Spec.PriorityClassName,
	}
	for _, containers := range [][]corev1.Container{pod.Spec.InitContainers, pod.Spec.Containers} {
		for i := range containers {
			r := &containers[i].Resources
			c.Unset |= unsetIn(r)
			c.BestEffort = c.BestEffort && !computes(r)
		}
	}
	if resourcehelper.IsPodLevelResourcesSet(pod) {
		c.Unset = 0 // what the whole pod sets, no container has to
	}
	return c
}

// unsetIn is what one container leaves open. A limit stands in for the request.
func unsetIn(r *corev1.ResourceRequirements) (unset Unset) {
	for _, of := range []struct {
		name           corev1.ResourceName
		request, limit Unset
	}{
		{corev1.ResourceCPU, unsetCPU, unsetLimitCPU},
		{corev1.ResourceMemory, unsetMemory, unsetLimitMemory},
	} {
		_, requested := r.Requests[of.name]
		_, limited := r.Limits[of.name]
		if !limited {
			unset |= of.limit
		}
		if !limited && !requested {
			unset |= of.request
		}
	}
	return unset
}

// computes reports whether CPU or memory is requested or limited: devices do
// not count for the quality of service.
func computes(r *corev1.ResourceRequirements) bool {
	if r == nil {
		return false
	}
	for _, list := range []corev1.ResourceList{r.Requests, r.Limits} {
		for _, name := range []corev1.ResourceName{corev1.ResourceCPU, corev1.ResourceMemory} {
			if q, ok := list[name]; ok && q.Sign() > 0 {
				return true
			}
		}
	}
	return false
}

// A measure reads off a pod what a quota for one resource counts.
type measure struct {
	of func(resources.Amounts, *Charge) int64
	// demands must not be unset.
	demands Unset
	unit    unit
}

// unit is what amounts of a resource are in.
type unit uint8

const (
	pieces unit = iota
	milliCores
	byteCount
)

var (
	requestedCPU     = measure{func(r resources.Amounts, _ *Charge) int64 { return r.CPU }, unsetCPU, milliCores}
	requestedMemory  = measure{func(r resources.Amounts, _ *Charge) int64 { return r.Memory }, unsetMemory, byteCount}
	requestedStorage = measure{func(r resources.Amounts, _ *Charge) int64 { return r.Storage }, 0, byteCount}

	measures = map[corev1.ResourceName]measure{
		corev1.ResourceCPU:                      requestedCPU,
		corev1.ResourceRequestsCPU:              requestedCPU,
		corev1.ResourceMemory:                   requestedMemory,
		corev1.ResourceRequestsMemory:           requestedMemory,
		corev1.ResourceEphemeralStorage:         requestedStorage,
		corev1.ResourceRequestsEphemeralStorage: requestedStorage,
		corev1.ResourceLimitsCPU:                {func(_ resources.Amounts, c *Charge) int64 { return c.LimitCPU }, unsetLimitCPU, milliCores},
		corev1.ResourceLimitsMemory:             {func(_ resources.Amounts, c *Charge) int64 { return c.LimitMemory }, unsetLimitMemory, byteCount},
		corev1.ResourceLimitsEphemeralStorage:   {func(_ resources.Amounts, c *Charge) int64 { return c.LimitStorage }, 0, byteCount},
	}
)

// measureOf returns how a quota for a resource measures pods; ok is false for
// a resource that is the same whatever kind a pod is given, such as pods.
func measureOf(name corev1.ResourceName) (m measure, ok bool) {
	if m, ok = measures[name]; ok {
		return m, true
	}
	device, ok := strings.CutPrefix(string(name), corev1.DefaultResourceRequestsPrefix)
	if !ok || !accel.IsDeviceResource(corev1.ResourceName(device)) {
		return measure{}, false
	}
	return measure{of: func(r resources.Amounts, _ *Charge) int64 { return r.Device(device) }}, true
}
