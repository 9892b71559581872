package live

import (
	"cmp"
	"slices"

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
		cores, free := n.value.CPU.Cores, n.value.CPU.Free
		of(accel.CPU).add(Share{cores, cores - free, free}, n.value.Cordoned)
		for i := range n.value.Devices {
			of(n.value.Devices[i].Kind).add(n.value.Devices[i].Share, n.value.Cordoned)
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

// add counts what is in use, and what a pod could get.
func (k *Kind) add(s Share, cordoned bool) {
	k.Total += s.Total
	k.Busy += s.Busy
	if !cordoned {
		k.Idle += s.Idle
	}
}
