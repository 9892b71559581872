package dra

import (
	"fmt"
	"runtime"
	"testing"

	resourcev1 "k8s.io/api/resource/v1"
)

const manyNodes = 5_000

// manyDevices is a cluster of 5,000 nodes with a GPU, an NPU and a CPU each, and a
// class for each kind.
func manyDevices() *world { return devicesOf(manyNodes) }

func devicesOf(nodes int) *world {
	w := newWorld()
	for _, kind := range []string{"GPU", "NPU", "CPU"} {
		w.SetClass(ofKind(kind))
	}
	for i := range nodes {
		w.SetSlice(benchSlice(i))
	}
	return w
}

func benchSlice(i int, options ...deviceOption) *resourcev1.ResourceSlice {
	attributes := func(d *resourcev1.Device) {
		for k, v := range map[resourcev1.QualifiedName]string{
			"model": "Iris Xe Graphics", "vendor": "8086", "driver": "i915", "address": fmt.Sprintf("0000:00:%02x.0", i%256),
			"resource.kubernetes.io/pcieRoot": fmt.Sprintf("pci0000:%02x", i%256),
		} {
			d.Attributes[k] = resourcev1.DeviceAttribute{StringValue: &v}
		}
		d.Attributes["numa"] = resourcev1.DeviceAttribute{IntValue: new(int64(i % 2))}
	}
	return aSlice(fmt.Sprintf("edge-node-%04d", i), devices(
		aDevice("gpu-0", "GPU", append(options, attributes)...), aDevice("npu-0", "NPU", attributes), aDevice("cpu", "CPU", attributes, shared(""))))
}

// BenchmarkSetSlice: a device of 5,000 nodes loses a taint, or gets one.
func BenchmarkSetSlice(b *testing.B) {
	w := manyDevices()
	both := [][]*resourcev1.ResourceSlice{nil, nil}
	for i := range manyNodes {
		both[0] = append(both[0], benchSlice(i, tainted(resourcev1.DeviceTaintEffectNoSchedule)))
		both[1] = append(both[1], benchSlice(i))
	}
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		w.SetSlice(both[i/manyNodes%2][i%manyNodes])
		i++
	}
}

// BenchmarkNewDevices: slices that were never seen, of which each class selects one.
func BenchmarkNewDevices(b *testing.B) {
	w := manyDevices()
	i := manyNodes
	b.ReportAllocs()
	for b.Loop() {
		w.SetSlice(benchSlice(i))
		i++
	}
}

// BenchmarkSetClaim: a claim is allocated and deallocated.
func BenchmarkSetClaim(b *testing.B) {
	w := manyDevices()
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		node := fmt.Sprintf("edge-node-%04d", i%manyNodes)
		w.SetClaim(aClaim("c", "p", node, "gpu-0"))
		w.DeleteClaim("default", "c")
		i++
	}
}

// BenchmarkSetClass: one more class for 15,000 devices.
func BenchmarkSetClass(b *testing.B) {
	w := manyDevices()
	b.ReportAllocs()
	for b.Loop() {
		w.SetClass(aClass("x", `device.attributes["devices.heteroaccel.io"].model == "Iris Xe Graphics"`))
		w.DeleteClass("x")
	}
}

// TestDevicesAreBounded: what is kept of 1,500 devices, of which each has seven
// attributes, and of as many claims is below 5 MiB.
func TestDevicesAreBounded(t *testing.T) {
	const nodes = 500
	heap := func() uint64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	newWorld().SetClass(ofKind("GPU")) // compiles
	before := heap()
	w := devicesOf(nodes)
	devices := heap() - before
	for i := range nodes {
		for _, d := range []string{"gpu-0", "npu-0", "cpu"} {
			w.SetClaim(aClaim(fmt.Sprint("ha-", i, d), fmt.Sprint("pod-", i, d), fmt.Sprintf("edge-node-%04d", i), d))
		}
	}
	all := heap() - before
	t.Logf("%d KiB for 1,500 devices, %d KiB with their claims", devices>>10, all>>10)
	if all > 5<<20 {
		t.Errorf("%d KiB are kept of 1,500 devices and claims", all>>10)
	}
	runtime.KeepAlive(w)
}

// TestClaimsKeepNothingOfTenants: of a claim that is not allocated nothing is kept, and
// of one that is no more than what it was allocated.
func TestClaimsKeepNothingOfTenants(t *testing.T) {
	w := newWorld()
	waiting := aClaim("c", "", "n0")
	waiting.Status.Allocation = nil
	w.SetClaim(waiting)
	w.empty(t)
	c := aClaim("c", "p", "n0")
	for i := range 2 * resourcev1.AllocationResultsMaxSize {
		c.Status.Allocation.Devices.Results = append(c.Status.Allocation.Devices.Results,
			resourcev1.DeviceRequestAllocationResult{Driver: driver, Pool: "n0", Device: fmt.Sprint("d", i)})
	}
	if n := len(claimOf(c).results); n != resourcev1.AllocationResultsMaxSize {
		t.Errorf("%d results are kept, want %d", n, resourcev1.AllocationResultsMaxSize)
	}
}
