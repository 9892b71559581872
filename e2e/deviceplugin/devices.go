package main

import (
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

// kernelName matches the name by which the vendors' plugins call a device: that
// of its class.
var kernelName = regexp.MustCompile(`^(card|accel|region)[0-9]+$`)

// byResource names the slots of the accelerators that a resource serves.
// resources is by driver; shared is how many slots a device of a resource has,
// 1 where it says nothing. Devices of other drivers are nobody's.
func byResource(found []discovery.Device, resources map[string]string, shared map[string]int) map[string][]device {
	out := map[string][]device{}
	for _, f := range found {
		resource, ok := resources[f.Driver]
		if !ok {
			continue
		}
		name := f.ID
		if i := slices.IndexFunc(f.Names, kernelName.MatchString); i >= 0 {
			name = f.Names[i]
		}
		for slot := range max(shared[resource], 1) {
			d := device{id: name, healthy: f.Usable, files: f.Files, numa: -1}
			if f.Kind != "FPGA" { // its plugin does not share
				d.id = fmt.Sprintf("%s-%d", name, slot)
			}
			out[resource] = append(out[resource], d)
		}
	}
	return out
}
