package inventory

import (
	"fmt"
	"testing"
)

// BenchmarkSetAllocation: the claim of a pod that is bound late is allocated and, once
// it ended, deallocated, on 5,000 nodes with four tables of fits.
func BenchmarkSetAllocation(b *testing.B) {
	w := lateCluster()
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		a := allocated("p")
		a.Node = nodeName(i % manyNodes)
		w.SetAllocation(a)
		w.DeleteAllocation("default", a.Name)
		i++
	}
}

// BenchmarkSetSlots: a device of 5,000 nodes is tainted, or not any more.
func BenchmarkSetSlots(b *testing.B) {
	w := lateCluster()
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		blocked := int64(i / manyNodes % 2)
		w.SetSlots(nodeName(i%manyNodes), Slots{slotsOf(gpuClass, 2), slotsOf(gpuClass, 2-blocked), slotsOf(gpuClass, blocked)})
		i++
	}
}

func lateCluster() *world {
	w := cluster(false)
	for i := range manyNodes {
		w.SetSlots(nodeName(i), Slots{Capacity: slotsOf(gpuClass, 2), Allocatable: slotsOf(gpuClass, 2)})
	}
	w.SetPod(aPod("p", late("GPU", "ha-p")))
	for i := range 100 {
		w.SetPod(aPod(fmt.Sprint("waits", i), late("GPU", fmt.Sprint("ha-waits", i))))
	}
	for _, o := range append(fourKinds(), wants(gpuClass)) {
		w.look(o)
	}
	return w
}

// BenchmarkHasClass: each review of a profile asks for each of its classes, of which
// 5,000 nodes have none.
func BenchmarkHasClass(b *testing.B) {
	w := lateCluster()
	for b.Loop() {
		w.HasClass("npu.example.com")
	}
}
