package resourceslice

import (
	"strings"

	resourceapi "k8s.io/api/resource/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"heteroaccel.io/exporter/discovery"
	"heteroaccel.io/pkg/accel"
)

// Offer is a device as it is offered.
type Offer struct {
	discovery.Device
	// Slots is how many claims may share the device; 1 for one at a time.
	Slots int
	// UsedBy is the command of a process outside Kubernetes that uses it, else "".
	UsedBy string
	// Standard are the attributes that Kubernetes defines for devices of any
	// driver, such as resource.kubernetes.io/pcieRoot.
	Standard map[resourceapi.QualifiedName]resourceapi.DeviceAttribute
}

// CPU is the device for a node's processors, whose vendor and model may be "". Any
// number of claims share it: what they need is accounted for as the node's CPU.
func CPU(vendor, model string) resourceapi.Device {
	return resourceapi.Device{
		Name: accel.CPUDevice, AllowMultipleAllocations: new(true),
		Attributes: attributes(accel.CPU, vendor, model, "", nil),
	}
}

// describe is the device without taints.
func (o Offer) describe() resourceapi.Device {
	d := resourceapi.Device{Name: Name(o.Kind, o.ID), Attributes: attributes(o.Kind, o.Vendor, o.Model, o.Driver, o.NUMA)}
	for name, value := range o.Standard {
		d.Attributes[name] = value
	}
	if o.Slots > 1 {
		one := resource.MustParse("1")
		all := *resource.NewQuantity(int64(o.Slots), resource.DecimalSI)
		d.AllowMultipleAllocations = new(true)
		d.Capacity = map[resourceapi.QualifiedName]resourceapi.DeviceCapacity{accel.CapacitySlots: {
			Value: all,
			RequestPolicy: &resourceapi.CapacityRequestPolicy{
				Default:    &one,
				ValidRange: &resourceapi.CapacityRequestPolicyRange{Min: &one, Max: &all, Step: &one},
			},
		}}
	}
	return d
}

// attributes leaves out what is unknown: CEL tells that apart from "".
func attributes(kind accel.Kind, vendor, model, driver string, numa *int) map[resourceapi.QualifiedName]resourceapi.DeviceAttribute {
	out := map[resourceapi.QualifiedName]resourceapi.DeviceAttribute{}
	for name, value := range map[resourceapi.QualifiedName]string{
		accel.AttributeKind: strings.ToLower(string(kind)), "vendor": vendor, "model": model, "driver": driver,
	} {
		if value = abbreviate(value, resourceapi.DeviceAttributeMaxValueLength); value != "" {
			out[name] = resourceapi.DeviceAttribute{StringValue: &value}
		}
	}
	if numa != nil {
		out["numaNode"] = resourceapi.DeviceAttribute{IntValue: new(int64(*numa))}
	}
	return out
}

// abbreviate shortens a text to a number of bytes, in UTF-8 as before.
func abbreviate(text string, most int) string {
	if len(text) > most {
		text = strings.ToValidUTF8(text[:most], "")
	}
	return strings.ToValidUTF8(text, "?")
}
