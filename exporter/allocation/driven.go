package allocation

import (
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"heteroaccel.io/exporter/discovery"
	"heteroaccel.io/exporter/podresources"
	"heteroaccel.io/pkg/accel"
)

// named are the devices, the driven ones with their name at the exporter's driver.
func (m Machine) named() []discovery.Device {
	if len(m.Driven) == 0 {
		return m.Devices
	}
	out := slices.Clone(m.Devices)
	for i := range out {
		if own, ok := m.Driven[out[i].Key()]; ok {
			driver, rest, _ := strings.Cut(own.Name, "/")
			_, device, _ := strings.Cut(rest, "/")
			out[i].Names = append(slices.Clip(out[i].Names), driver+"/"+device)
		}
	}
	return out
}

// PluginKinds returns the kinds of which device plugins serve devices of the node, by
// what the kubelet allocates, each with one of its resources.
func PluginKinds(machine Machine, kubelet podresources.Answer) map[accel.Kind]string {
	index := newNameIndex(machine.Devices)
	m := match(machine, index, groupSlots(kubelet, index, machine.Present), nil)
	out := map[accel.Kind]string{}
	for i, f := range index.found {
		for _, p := range m.offers[i].plugins {
			out[f.Kind] = p.resource
		}
	}
	for _, p := range m.unmatched {
		out[p.kind] = p.resource
	}
	return out
}

// ResourceKinds is PluginKinds by a node's allocatable resources, which have no ids: a
// resource whose name says nothing counts if a driver's devices are usually served
// under it. A resource of which nothing is left does not count.
func ResourceKinds(found []discovery.Device, allocatable corev1.ResourceList) map[accel.Kind]string {
	out := map[accel.Kind]string{}
	for _, resource := range accel.DeviceResources(allocatable) {
		amount := allocatable[corev1.ResourceName(resource)]
		if amount.Sign() <= 0 || isMonitoring(resource) {
			continue
		}
		if kind, known := kindOf(resource); known {
			out[kind] = resource
		}
		for _, f := range found {
			if f.Resource == resource {
				out[f.Kind] = resource
			}
		}
	}
	return out
}

// DriverKind returns the kind that the name of another DRA driver says, such as
// gpu.intel.com. known is false for a name that says none.
func DriverKind(driver string) (kind accel.Kind, known bool) {
	if driver == accel.DeviceDriver {
		return "", false
	}
	return kindOf(driver)
}
