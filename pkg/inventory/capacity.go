package inventory

import (
	"heteroaccel.io/pkg/accel"
	"heteroaccel.io/pkg/resources"
)

// Usable is how many more slots of an extended resource can be allocated:
//
//	min(allocatable − held, capacity − held − blocked), never below 0
//
// Blocked are the free slots of unhealthy devices and of devices in external
// use; not those of devices whose health is unknown. Once the kubelet knows that
// a device is unhealthy it is no longer allocatable, but still in the capacity,
// so nothing is subtracted twice. While telemetry is stale only Kubernetes' own
// accounting counts.
//
// Devices of a DeviceClass are unhealthy or in external use by their taints, whatever
// the telemetry does, and one that is tainted while a claim holds it is only held:
//
//	capacity − held − blocked, never below 0
func (n *Node) Usable(resource string, fresh bool) int64 {
	held := n.Held.Device(resource)
	if _, ok := accel.ClassOf(resource); ok {
		return max(0, n.Capacity.Device(resource)-held-n.blockedSlots.Device(resource))
	}
	usable := n.Allocatable.Device(resource) - held
	if fresh {
		usable = min(usable, n.Capacity.Device(resource)-held-n.blocked.Device(resource))
	}
	return max(0, usable)
}

// FreeCPU is how many milli-cores are neither requested nor, by fresh telemetry,
// busy.
func (n *Node) FreeCPU(fresh bool) int64 {
	free := n.Allocatable.CPU - n.Held.CPU
	if load, ok := n.Load(fresh); ok {
		free = min(free, int64((1-load)*n.Telemetry.CPUCores*1000))
	}
	return max(0, free)
}

// Load is the busy share of the node's cores, 0 to 1; ok is false without fresh
// telemetry.
func (n *Node) Load(fresh bool) (load float64, ok bool) {
	if !fresh || n.Telemetry == nil {
		return 0, false
	}
	busy, cores := n.Telemetry.CPUBusy, n.Telemetry.CPUCores
	if !(cores > 0 && cores < resources.Max && busy >= 0) { // also for NaN
		return 0, false
	}
	return min(1, busy/cores), true
}

// Fits is how many pods with these needs fit on the node now, by what is free of
// each resource. Only pods without devices are kept off cores that are busy but
// not requested.
func (n *Node) Fits(needs resources.Amounts, fresh bool) int64 {
	if !n.known {
		return 0
	}
	fits := n.MaxPods - n.Pods
	fits = fit(fits, n.Allocatable.CPU-n.Held.CPU, needs.CPU)
	fits = fit(fits, n.Allocatable.Memory-n.Held.Memory, needs.Memory)
	fits = fit(fits, n.Allocatable.Storage-n.Held.Storage, needs.Storage)
	for _, d := range needs.Devices {
		fits = fit(fits, n.Usable(d.Resource, fresh), d.Count)
	}
	if len(needs.Devices) == 0 {
		fits = fit(fits, n.FreeCPU(fresh), needs.CPU)
	}
	return max(0, fits)
}

// FitsEmpty is how many pods with these needs would fit on the node if it were
// empty, by what is allocatable.
func (n *Node) FitsEmpty(needs resources.Amounts) int64 { return n.fitsEmpty(n.Allocatable, needs) }

// fitsEmpty is FitsEmpty of a node that has these amounts.
func (n *Node) fitsEmpty(has, needs resources.Amounts) int64 {
	if !n.known {
		return 0
	}
	total := n.MaxPods
	for _, d := range needs.Devices {
		total = fit(total, has.Device(d.Resource), d.Count)
	}
	total = fit(total, has.CPU, needs.CPU)
	total = fit(total, has.Memory, needs.Memory)
	total = fit(total, has.Storage, needs.Storage)
	return max(0, total)
}

// fit is how often need fits into free, at most limit times. A resource that is
// not needed limits nothing, even where more is held than there is.
func fit(limit, free, need int64) int64 {
	if need <= 0 || limit <= 0 {
		return limit
	}
	if free < need {
		return 0
	}
	if need == 1 {
		return min(limit, free)
	}
	return min(limit, free/need)
}
