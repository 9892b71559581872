package live

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"heteroaccel.io/pkg/accel"
)

// count counts the devices of each kind by state, and who waits for it; the CPU's cores
// first, then by kind.
func count(nodes map[string]*row[Node], pods map[string]*row[Pod]) []Kind {
	kinds := map[accel.Kind]*Kind{}
	of := func(k accel.Kind) *Kind {
		if kinds[k] == nil {
			kinds[k] = &Kind{Kind: k}
		}
		return kinds[k]
	}
	for _, n := range nodes {
		cpu := of(accel.CPU)
		cpu.Total += n.value.CPU.Cores
		cpu.Idle += n.value.CPU.Free
		cpu.Busy += n.value.CPU.Cores - n.value.CPU.Free
		for i := range n.value.Devices {
			of(n.value.Devices[i].Kind).add(&n.value.Devices[i])
		}
	}
	for _, p := range pods {
		if p.value.Waits {
			of(p.value.Kind).Waiting++
		}
	}
	all := make([]Kind, 0, len(kinds))
	for _, k := range kinds {
		all = append(all, *k)
	}
	slices.SortFunc(all, func(a, b Kind) int {
		if cpuA, cpuB := a.Kind == accel.CPU, b.Kind == accel.CPU; cpuA != cpuB {
			if cpuA {
				return -1
			}
			return 1
		}
		return cmp.Compare(a.Kind, b.Kind)
	})
	return all
}

// add counts a device, or the slots of one that is shared or has no telemetry.
func (k *Kind) add(d *Device) {
	var n, m float64
	switch {
	case d.State == "idle":
		k.Total++
		k.Idle++
	case d.State == "busy":
		k.Total++
		k.Busy++
	case strings.HasPrefix(d.State, "shared "):
		if _, err := fmt.Sscanf(d.State, "shared %g of %g", &n, &m); err == nil && m > 0 {
			k.Total++
			k.Busy += n / m
			k.Idle += 1 - n/m
		}
	case strings.HasSuffix(d.State, " free"):
		if _, err := fmt.Sscanf(d.State, "%g of %g free", &n, &m); err == nil {
			k.Total += m
			k.Idle += n
			k.Busy += m - n
		}
	default: // unhealthy, used outside Kubernetes, or unknown
		k.Total++
	}
}
