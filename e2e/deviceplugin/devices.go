package main

import (
	"errors"
	"fmt"
	"regexp"
	"slices"

	"heteroaccel.io/exporter/discovery"
)

// device is what the kubelet hands out as one: a slot of an accelerator.
type device struct {
	id      string
	healthy bool
	files   []string // below /dev
	numa    int      // -1 where it is attached to no NUMA node
}

// found is an accelerator of the node.
type found struct {
	kind, driver string
	resource     string // as the plugin of its driver serves it, as a rule; may be ""
	name         string // as its plugin calls it
	usable       bool
	files        []string
	numa         int
}

// naming says under which resource a device is served.
type naming struct {
	// resources are by driver ("i915") or kind ("FPGA"); what it does not name
	// is served as the plugin of its driver does, as a rule, or not at all.
	resources map[string]string
	// shared is how many pods may share a device of a resource; 1 where it
	// says nothing.
	shared map[string]int
}

// kernelName matches the name by which the vendors' plugins call a device: that
// of its class. A stick has none; its plugin only counts sticks, which would
// give one stick's health to another when a third is pulled out, so that here
// it is called by its USB path.
var kernelName = regexp.MustCompile(`^(card|accel|region|intel-fpga-dev\.)[0-9]+$`)

// accelerators finds the node's devices. Those that can be read are returned
// also when there is an error: one broken card hides no other.
func accelerators(sys string) ([]found, error) {
	var out []found
	var errs []error
	for _, look := range []func(discovery.Mounts) ([]discovery.Device, error){discovery.GPUs, discovery.NPUs, discovery.FPGAs, discovery.Sticks} {
		devices, err := look(discovery.Mounts{Sys: sys, Proc: "/proc"})
		errs = append(errs, err)
		for _, d := range devices {
			numa := -1
			if d.NUMA != nil {
				numa = *d.NUMA
			}
			f := found{
				kind: string(d.Kind), driver: d.Driver, resource: d.Resource, name: d.ID,
				usable: d.Fault == "", files: d.Files, numa: numa,
			}
			if i := slices.IndexFunc(d.Names, kernelName.MatchString); i >= 0 {
				f.name = d.Names[i]
			}
			out = append(out, f)
		}
	}
	return out, errors.Join(errs...)
}

// byResource names the slots of the accelerators that each resource serves.
func byResource(all []found, n naming) map[string][]device {
	out := map[string][]device{}
	for _, f := range all {
		resource, ok := n.resources[f.driver]
		if !ok {
			resource, ok = n.resources[f.kind]
		}
		if !ok {
			resource = f.resource
		}
		if resource == "" {
			continue
		}
		if f.kind == "FPGA" { // its plugin does not share, and so numbers nothing
			out[resource] = append(out[resource], device{f.name, f.usable, f.files, f.numa})
			continue
		}
		for slot := range max(n.shared[resource], 1) {
			out[resource] = append(out[resource], device{fmt.Sprintf("%s-%d", f.name, slot), f.usable, f.files, f.numa})
		}
	}
	return out
}
