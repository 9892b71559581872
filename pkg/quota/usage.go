package quota

import (
	corev1 "k8s.io/api/core/v1"
	resourcehelper "k8s.io/component-helpers/resource"

	"heteroaccel.io/pkg/resources"
)

// Usage is what quotas count of a pod beyond its requests.
type Usage struct {
	// LimitCPU is the sum of the pod's limits in milli-cores, LimitMemory and
	// LimitStorage in bytes.
	LimitCPU, LimitMemory, LimitStorage int64
	// Unset is what at least one container does not set.
	Unset Unset
	// BestEffort is set for a pod of that quality of service, Terminating for
	// one with a deadline.
	BestEffort, Terminating bool
	PriorityClass           string
}

// Unset is a set of requests and limits, of those that a quota demands of every
// container.
type Unset uint8

const (
	UnsetCPU Unset = 1 << iota
	UnsetMemory
	UnsetLimitCPU
	UnsetLimitMemory
)

// UsageOf reads a pod: its spec, and of its status only resized resources.
func UsageOf(pod *corev1.Pod) Usage {
	pod = resources.Sane(pod)
	limits := resourcehelper.PodLimits(pod, resourcehelper.PodResourcesOptions{UseStatusResources: true})
	u := Usage{
		LimitCPU:      resources.MilliCores(limits.Cpu()),
		LimitMemory:   resources.Whole(limits.Memory()),
		LimitStorage:  resources.Whole(limits.StorageEphemeral()),
		BestEffort:    !computes(pod.Spec.Resources),
		Terminating:   pod.Spec.ActiveDeadlineSeconds != nil && *pod.Spec.ActiveDeadlineSeconds >= 0,
		PriorityClass: pod.Spec.PriorityClassName,
	}
	for _, containers := range [][]corev1.Container{pod.Spec.InitContainers, pod.Spec.Containers} {
		for i := range containers {
			r := &containers[i].Resources
			u.Unset |= unsetIn(r)
			u.BestEffort = u.BestEffort && !computes(r)
		}
	}
	if resourcehelper.IsPodLevelResourcesSet(pod) {
		u.Unset = 0 // what the pod sets, no container has to
	}
	return u
}

// unsetIn is what one container does not set. A limit is the default request.
func unsetIn(r *corev1.ResourceRequirements) (unset Unset) {
	for _, of := range []struct {
		name           corev1.ResourceName
		request, limit Unset
	}{
		{corev1.ResourceCPU, UnsetCPU, UnsetLimitCPU},
		{corev1.ResourceMemory, UnsetMemory, UnsetLimitMemory},
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
