package allocation

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"heteroaccel.io/exporter/discovery"
	"heteroaccel.io/exporter/podresources"
	"heteroaccel.io/pkg/accel"
)

// claimed is a claim of a device of the exporter's driver.
func claimed(pod, device string) podresources.Claim {
	return podresources.Claim{
		Holder: podresources.Holder{Namespace: "ns", Pod: pod, Container: "c"}, Name: pod,
		Driver: accel.DeviceDriver, Pool: "n", Device: device,
		CDI: []string{"devices.heteroaccel.io/claim=0f4f7a6e-7d1a-4a1e-9c53-6a3c3f0c1d11-" + device},
	}
}

// TestDriven: what the exporter serves itself has slots, whoever holds it, and is
// healthy without a device plugin.
func TestDriven(t *testing.T) {
	const name = "devices.heteroaccel.io/n/npu-1-2"
	machine := Machine{Devices: []discovery.Device{stick}, Complete: true, Driven: map[accel.DeviceKey]Driven{stick.Key(): {Name: name, Slots: 2}}}
	free := accel.Device{Kind: "NPU", ID: "1-2", PluginID: name, Health: accel.Healthy, Slots: 2}
	with := func(change func(*accel.Device)) accel.Device {
		d := free
		change(&d)
		return d
	}
	broken := machine
	broken.Devices = []discovery.Device{unusable(stick)}
	hold := func(pod string) accel.Holder {
		h := holder(pod, 1)
		h.Claim = pod
		return h
	}
	for name, tc := range map[string]struct {
		machine Machine
		kubelet *podresources.Answer
		want    []accel.Device
	}{
		"free": {machine, &podresources.Answer{}, []accel.Device{free}},
		"held": {machine, &podresources.Answer{Claims: []podresources.Claim{claimed("p", "npu-1-2")}}, []accel.Device{with(func(d *accel.Device) {
			d.Allocated, d.Holders = 1, []accel.Holder{hold("p")}
		})}},
		"held by more containers than it has slots": {machine,
			&podresources.Answer{Claims: []podresources.Claim{claimed("p", "npu-1-2"), claimed("q", "npu-1-2"), claimed("r", "npu-1-2")}},
			[]accel.Device{with(func(d *accel.Device) {
				d.Slots, d.Allocated, d.Holders = 3, 3, []accel.Holder{hold("p"), hold("q"), hold("r")}
			})}},
		"broken": {broken, &podresources.Answer{}, []accel.Device{with(func(d *accel.Device) {
			d.Health, d.Reason = accel.Unhealthy, "no driver is bound to it"
		})}},
		"the kubelet does not answer": {machine, nil, []accel.Device{with(func(d *accel.Device) { d.Allocated = -1 })}},
		"the CPU is no device":        {machine, &podresources.Answer{Claims: []podresources.Claim{claimed("p", "cpu")}}, []accel.Device{free}},
		"a device that is gone": {Machine{Complete: true}, &podresources.Answer{Claims: []podresources.Claim{claimed("p", "fpga-region0")}}, []accel.Device{{
			Kind: "FPGA", ID: "devices.heteroaccel.io/n/fpga-region0", PluginID: "devices.heteroaccel.io/n/fpga-region0",
			Health: accel.Healthy, Slots: 1, Allocated: 1, Holders: []accel.Holder{hold("p")},
		}}},
		"a device plugin serves it too": {machine,
			&podresources.Answer{Allocatable: map[podresources.Slot]bool{{Resource: hddl, DeviceID: "1-2"}: true}, Claims: []podresources.Claim{claimed("p", "npu-1-2")}},
			[]accel.Device{{Kind: "NPU", ID: "1-2", Resource: hddl, PluginID: "1-2", Health: accel.Unhealthy, Reason: servedTwice, Slots: 2, Allocated: 1, Holders: []accel.Holder{hold("p")}}}},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tc.want, Merge(tc.machine, tc.kubelet, nil)); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

func TestPluginKinds(t *testing.T) {
	machine := Machine{Devices: []discovery.Device{card0, vpu, fpga}, Complete: true}
	for name, tc := range map[string]struct {
		allocatable map[string][]string
		want        map[accel.Kind]string
	}{
		"none":             {nil, map[accel.Kind]string{}},
		"by name":          {map[string][]string{i915: {"card0-0"}}, map[accel.Kind]string{"GPU": i915}},
		"by id alone":      {map[string][]string{"example.com/any": {"accel0"}}, map[accel.Kind]string{"NPU": "example.com/any"}},
		"of no device":     {map[string][]string{hddl: {"hddl-0", "hddl-1"}}, map[accel.Kind]string{"NPU": hddl}},
		"of another sort":  {map[string][]string{"example.com/fuse": {"1"}}, map[accel.Kind]string{"FUSE": "example.com/fuse"}},
		"for watching it":  {map[string][]string{"gpu.intel.com/i915_monitoring": {"all"}}, map[accel.Kind]string{}},
		"of several kinds": {map[string][]string{i915: {"card0-0"}, npu: {"accel0-0"}}, map[accel.Kind]string{"GPU": i915, "NPU": npu}},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tc.want, PluginKinds(machine, *kubelet(tc.allocatable, nil))); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

func TestResourceKinds(t *testing.T) {
	qaic := discovery.Device{Kind: "NPU", ID: "0000:01:00.0", Resource: "qualcomm.com/qaic"}
	for name, tc := range map[string]struct {
		resource corev1.ResourceName
		amount   string
		want     map[accel.Kind]string
	}{
		"by its name":          {i915, "1", map[accel.Kind]string{"GPU": i915}},
		"by a driver's device": {"qualcomm.com/qaic", "1", map[accel.Kind]string{"NPU": "qualcomm.com/qaic"}},
		"nothing is left":      {i915, "0", map[accel.Kind]string{}},
		"of another sort":      {"example.com/fuse", "1", map[accel.Kind]string{}},
		"Kubernetes' own":      {"cpu", "8", map[accel.Kind]string{}},
		"for watching it":      {"gpu.intel.com/i915_monitoring", "1", map[accel.Kind]string{}},
	} {
		t.Run(name, func(t *testing.T) {
			got := ResourceKinds([]discovery.Device{qaic}, corev1.ResourceList{tc.resource: resource.MustParse(tc.amount)})
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}
