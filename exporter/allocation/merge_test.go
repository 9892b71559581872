package allocation

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"heteroaccel.io/exporter/discovery"
	"heteroaccel.io/exporter/podresources"
	"heteroaccel.io/pkg/accel"
)

const (
	i915 = "gpu.intel.com/i915"
	hddl = "vpu.intel.com/hddl"
	npu  = "npu.intel.com/accel"
)

// card is a GPU as discovery finds it.
func card(id, name, render string) discovery.Device {
	return discovery.Device{Kind: "GPU", ID: id, Driver: "i915", Resource: i915,
		Names: []string{id, name}, Files: []string{"/dev/dri/" + render}}
}

var (
	card0 = card("0000:00:02.0", "card0", "renderD128")
	card1 = card("0000:03:00.0", "card1", "renderD129")
	stick = discovery.Device{Kind: "NPU", ID: "1-2", Resource: hddl, Names: []string{"1-2"}}
	vpu   = discovery.Device{Kind: "NPU", ID: "0000:00:0b.0", Driver: "intel_vpu", Resource: npu, Names: []string{"0000:00:0b.0", "accel0"}}
	fpga  = discovery.Device{Kind: "FPGA", ID: "0000:3b:00.0", Driver: "dfl-pci", Names: []string{"0000:3b:00.0", "region0", "dfl-port.0"}}
)

// unusable is a device without its driver.
func unusable(d discovery.Device) discovery.Device {
	d.Driver, d.Fault = "", "no driver is bound to it"
	return d
}

// gpu is the expected device of a card: healthy, one slot, idle.
func gpu(id string, change ...func(*accel.Device)) accel.Device {
	d := accel.Device{Kind: "GPU", ID: id, Resource: i915, Driver: "i915", Health: accel.Healthy, Slots: 1}
	for _, f := range change {
		f(&d)
	}
	return d
}

func holder(pod string, slots int) accel.Holder {
	return accel.Holder{Namespace: "ns", Pod: pod, Container: "c", Slots: slots}
}

// kubelet builds an answer from plugin ids: by resource those that can be
// allocated, and by resource and id the pod that holds it.
func kubelet(allocatable map[string][]string, held map[podresources.Slot]string) *podresources.Answer {
	a := podresources.Answer{Allocatable: map[podresources.Slot]bool{}, Held: map[podresources.Slot]podresources.Holder{}}
	for resource, ids := range allocatable {
		for _, id := range ids {
			a.Allocatable[podresources.Slot{Resource: resource, DeviceID: id}] = true
		}
	}
	for slot, pod := range held {
		a.Held[slot] = podresources.Holder{Namespace: "ns", Pod: pod, Container: "c"}
	}
	return &a
}

func TestMerge(t *testing.T) {
	type ids = map[string][]string
	type held = map[podresources.Slot]string
	for name, tc := range map[string]struct {
		found   []discovery.Device
		kubelet *podresources.Answer
		used    map[string]string
		want    []accel.Device
	}{
		"kubelet not asked: allocation unknown, resource by driver": {
			[]discovery.Device{card0, fpga}, nil, nil,
			[]accel.Device{
				{Kind: "FPGA", ID: "0000:3b:00.0", Driver: "dfl-pci", Health: accel.Healthy, Slots: 1, Allocated: -1},
				gpu("0000:00:02.0", func(d *accel.Device) { d.Allocated = -1 }),
			},
		},
		"idle": {
			[]discovery.Device{card0}, kubelet(ids{i915: {"card0-0"}}, nil), nil,
			[]accel.Device{gpu("0000:00:02.0")},
		},
		"shared by three, held by two": {
			[]discovery.Device{card0},
			kubelet(ids{i915: {"card0-0", "card0-1", "card0-2"}}, held{{Resource: i915, DeviceID: "card0-0"}: "b", {Resource: i915, DeviceID: "card0-2"}: "a"}), nil,
			[]accel.Device{gpu("0000:00:02.0", func(d *accel.Device) {
				d.Slots, d.Allocated, d.Holders = 3, 2, []accel.Holder{holder("a", 1), holder("b", 1)}
			})},
		},
		"two slots held by one container": {
			[]discovery.Device{card0},
			kubelet(ids{i915: {"card0-0", "card0-1"}}, held{{Resource: i915, DeviceID: "card0-0"}: "a", {Resource: i915, DeviceID: "card0-1"}: "a"}), nil,
			[]accel.Device{gpu("0000:00:02.0", func(d *accel.Device) {
				d.Slots, d.Allocated, d.Holders = 2, 2, []accel.Holder{holder("a", 2)}
			})},
		},
		"one of two cards is not in the kubelet's list": {
			[]discovery.Device{card0, card1}, kubelet(ids{i915: {"card0-0"}}, nil), nil,
			[]accel.Device{gpu("0000:00:02.0"), gpu("0000:03:00.0", func(d *accel.Device) { d.Health = accel.Unhealthy })},
		},
		"the only card is not in the kubelet's list": {
			[]discovery.Device{card0}, kubelet(nil, nil), nil,
			[]accel.Device{gpu("0000:00:02.0", func(d *accel.Device) { d.Health = accel.Unhealthy })},
		},
		"gone bad while a pod holds it": {
			[]discovery.Device{card0}, kubelet(nil, held{{Resource: i915, DeviceID: "card0-0"}: "a"}), nil,
			[]accel.Device{gpu("0000:00:02.0", func(d *accel.Device) {
				d.Health, d.Allocated, d.Holders = accel.Unhealthy, 1, []accel.Holder{holder("a", 1)}
			})},
		},
		"ids that say nothing for one of two cards: it is the other": {
			[]discovery.Device{card0, card1}, kubelet(ids{i915: {"card0-0", "y"}}, held{{Resource: i915, DeviceID: "y"}: "a"}), nil,
			[]accel.Device{gpu("0000:00:02.0"), gpu("0000:03:00.0", func(d *accel.Device) { d.Allocated, d.Holders = 1, []accel.Holder{holder("a", 1)} })},
		},
		"a card that has another number since its driver was bound again": {
			[]discovery.Device{card1}, kubelet(ids{i915: {"card0-0"}}, nil), nil,
			[]accel.Device{
				gpu("0000:03:00.0", func(d *accel.Device) { d.Resource, d.Allocated = "", -1 }),
				gpu("card0", func(d *accel.Device) { d.Health, d.Driver = accel.Unhealthy, "" }),
			},
		},
		"a card that has no number since its driver let go of it": {
			[]discovery.Device{func() discovery.Device { d := unusable(card0); d.Names = []string{d.ID}; return d }()}, kubelet(ids{i915: {"card0-0"}}, nil), nil,
			[]accel.Device{gpu("0000:00:02.0", func(d *accel.Device) { d.Health, d.Driver = accel.Unhealthy, "" })},
		},
		"no driver, whatever the kubelet says": {
			[]discovery.Device{unusable(card0)}, kubelet(ids{i915: {"card0-0"}}, nil), nil,
			[]accel.Device{gpu("0000:00:02.0", func(d *accel.Device) { d.Health, d.Driver = accel.Unhealthy, "" })},
		},
		"by PCI address, a resource that is not the driver's": {
			[]discovery.Device{card0}, kubelet(ids{"example.com/gpu": {"0000:00:02.0"}}, nil), nil,
			[]accel.Device{gpu("0000:00:02.0", func(d *accel.Device) { d.Resource = "example.com/gpu" })},
		},
		"used outside Kubernetes": {
			[]discovery.Device{card0, card1}, kubelet(ids{i915: {"card0-0", "card1-0"}}, nil),
			map[string]string{"/dev/dri/renderD129": "blender"},
			[]accel.Device{gpu("0000:00:02.0"), gpu("0000:03:00.0", func(d *accel.Device) { d.ExternalUse = "blender" })},
		},
		"an FPGA, whose resource only the kubelet knows": {
			[]discovery.Device{fpga}, kubelet(ids{"fpga.intel.com/af-abc": {"dfl-port.0"}}, nil), nil,
			[]accel.Device{{Kind: "FPGA", ID: "0000:3b:00.0", Resource: "fpga.intel.com/af-abc", Driver: "dfl-pci", Health: accel.Healthy, Slots: 1}},
		},
		"an id that says nothing, and the only device it can be": {
			[]discovery.Device{stick}, kubelet(ids{hddl: {"hddl-0"}}, held{{Resource: hddl, DeviceID: "hddl-0"}: "a"}), nil,
			[]accel.Device{{Kind: "NPU", ID: "1-2", Resource: hddl, Health: accel.Healthy, Slots: 1, Allocated: 1, Holders: []accel.Holder{holder("a", 1)}}},
		},
		"the same beside another NPU": {
			[]discovery.Device{stick, vpu}, kubelet(ids{hddl: {"hddl-0"}, npu: {"accel0-0"}}, nil), nil,
			[]accel.Device{
				{Kind: "NPU", ID: "0000:00:0b.0", Resource: npu, Driver: "intel_vpu", Health: accel.Healthy, Slots: 1},
				{Kind: "NPU", ID: "1-2", Resource: hddl, Health: accel.Healthy, Slots: 1},
			},
		},
		"ids that say nothing for two cards: which is which is unknown": {
			[]discovery.Device{card0, card1}, kubelet(ids{i915: {"x", "y"}}, held{{Resource: i915, DeviceID: "y"}: "a"}), nil,
			[]accel.Device{
				gpu("0000:00:02.0", func(d *accel.Device) { d.Resource, d.Allocated = "", -1 }),
				gpu("0000:03:00.0", func(d *accel.Device) { d.Resource, d.Allocated = "", -1 }),
				gpu("x", func(d *accel.Device) { d.Driver = "" }),
				gpu("y", func(d *accel.Device) { d.Driver, d.Allocated, d.Holders = "", 1, []accel.Holder{holder("a", 1)} }),
			},
		},
		"only the kubelet knows it": {
			nil, kubelet(ids{"nvidia.com/gpu": {"GPU-8d1c3b1e-1b5a-4c0e-9f10-0123456789ab::0", "GPU-8d1c3b1e-1b5a-4c0e-9f10-0123456789ab::1"}}, nil), nil,
			[]accel.Device{{Kind: "GPU", ID: "GPU-8d1c3b1e-1b5a-4c0e-9f10-0123456789ab", Resource: "nvidia.com/gpu", Health: accel.Healthy, Slots: 2}},
		},
		"a resource whose name says nothing is one device": {
			nil, kubelet(ids{"devices.example.com/kvm": {"kvm1", "kvm2", "kvm3"}}, nil), nil,
			[]accel.Device{{Kind: "KVM", ID: "devices.example.com/kvm", Resource: "devices.example.com/kvm", Health: accel.Healthy, Slots: 3}},
		},
		"monitoring is no device": {
			[]discovery.Device{card0}, kubelet(ids{i915: {"card0-0"}, "gpu.intel.com/i915_monitoring": {"all"}}, nil), nil,
			[]accel.Device{gpu("0000:00:02.0")},
		},
		"served under two resources: the driver's own is the device's": {
			[]discovery.Device{card0}, kubelet(ids{"a.com/gpu": {"card0"}, i915: {"card0-0"}, "z.com/gpu": {"0000:00:02.0"}}, nil), nil,
			[]accel.Device{
				gpu("0000:00:02.0"),
				gpu("a.com/gpu/0000:00:02.0", func(d *accel.Device) { d.Resource = "a.com/gpu" }),
				gpu("z.com/gpu/0000:00:02.0", func(d *accel.Device) { d.Resource = "z.com/gpu" }),
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tc.want, Merge(Machine{Devices: tc.found, Complete: true}, tc.kubelet, tc.used), noPluginID, noReason); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

// noPluginID ignores what TestPluginID tests.
var noPluginID = cmpopts.IgnoreFields(accel.Device{}, "PluginID")

// noReason ignores what TestReason tests.
var noReason = cmpopts.IgnoreFields(accel.Device{}, "Reason")

func TestPluginID(t *testing.T) {
	nvidia := discovery.Device{Kind: "GPU", ID: "0000:17:00.0", Resource: "nvidia.com/gpu", Names: []string{"0000:17:00.0", "GPU-82523fd8-3897-f599-d088-ccd04ae45ec1"}}
	for name, tc := range map[string]struct {
		found       []discovery.Device
		allocatable map[string][]string
		want        []string
	}{
		"one slot: its id":                  {[]discovery.Device{card0}, map[string][]string{i915: {"card0-0"}}, []string{"card0-0"}},
		"several: what they have in common": {[]discovery.Device{card0}, map[string][]string{i915: {"card0-0", "card0-1"}}, []string{"card0"}},
		"a UUID":                            {[]discovery.Device{nvidia}, map[string][]string{"nvidia.com/gpu": {"GPU-82523fd8-3897-f599-d088-ccd04ae45ec1"}}, []string{"GPU-82523fd8-3897-f599-d088-ccd04ae45ec1"}},
		"shares of a UUID":                  {[]discovery.Device{nvidia}, map[string][]string{"nvidia.com/gpu": {"GPU-82523fd8-3897-f599-d088-ccd04ae45ec1::0", "GPU-82523fd8-3897-f599-d088-ccd04ae45ec1::1"}}, []string{"GPU-82523fd8-3897-f599-d088-ccd04ae45ec1"}},
		"an id that says nothing":           {[]discovery.Device{stick}, map[string][]string{hddl: {"hddl-0"}}, []string{"hddl-0"}},
		"served by nobody":                  {[]discovery.Device{card0}, nil, []string{""}},
		"several of no name":                {nil, map[string][]string{"a.com/kvm": {"kvm1", "kvm2"}}, []string{""}},
		"one of no name":                    {nil, map[string][]string{"a.com/kvm": {"kvm1"}}, []string{"kvm1"}},
	} {
		t.Run(name, func(t *testing.T) {
			var got []string
			for _, d := range Merge(Machine{Devices: tc.found, Complete: true}, kubelet(tc.allocatable, nil), nil) {
				got = append(got, d.PluginID)
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

func TestTrimShare(t *testing.T) {
	for id, want := range map[string]string{
		"card0-1": "card0", "accel0-12": "accel0", "card0": "card0", "0000:00:02.0-1": "0000:00:02.0",
		"1-2": "1-2", "1-2.4-0": "1-2.4", "usb-1-2-0": "usb-1-2", "dfl-port.0-1": "dfl-port.0", "0000-00-02-0": "0000-00-02-0",
		"GPU-8d1c3b1e-1b5a-4c0e-9f10-000000000042": "GPU-8d1c3b1e-1b5a-4c0e-9f10-000000000042",
		"GPU-x::3": "GPU-x", "hddl-0": "hddl-0", "": "",
	} {
		if got := trimShare(id); got != want {
			t.Errorf("trimShare(%q) = %q, want %q", id, got, want)
		}
	}
}

func TestKindOf(t *testing.T) {
	for resource, want := range map[string]accel.Kind{
		i915: "GPU", "nvidia.com/gpu": "GPU", "amd.com/gpu": "GPU", "fpga.intel.com/region-1": "FPGA", npu: "NPU", hddl: "NPU",
		"google.com/tpu": "TPU", "example.com/cpu": "OTHER", "example.com/": "OTHER", "plain": "OTHER",
	} {
		if got, _ := kindOf(resource); got != want {
			t.Errorf("kindOf(%q) = %q, want %q", resource, got, want)
		}
	}
}

// The driver of a card was unbound, and its plugin still serves it.
func TestLostDriver(t *testing.T) {
	served := kubelet(map[string][]string{i915: {"card0-0", "card1-0"}}, nil)
	for name, tc := range map[string]struct {
		machine Machine
		want    []bool // healthy: card1, which the kernel shows, then card0
	}{
		"everything was read": {Machine{Devices: []discovery.Device{card1}, Complete: true}, []bool{true, false}},
		"not all was read":    {Machine{Devices: []discovery.Device{card1}}, []bool{true, true}},
	} {
		t.Run(name, func(t *testing.T) {
			var got []bool
			for _, d := range Merge(tc.machine, served, nil) {
				got = append(got, d.Health == accel.Healthy)
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("healthy (-want +got):\n%s", diff)
			}
		})
	}
}

// The reason of a device's health is the first that is found.
func TestReason(t *testing.T) {
	held := map[podresources.Slot]string{{Resource: i915, DeviceID: "card0-0"}: "a"}
	for name, tc := range map[string]struct {
		found   []discovery.Device
		kubelet *podresources.Answer
		want    string
	}{
		"healthy":                         {[]discovery.Device{card0}, kubelet(map[string][]string{i915: {"card0-0"}}, nil), ""},
		"a fault of the kernel's":         {[]discovery.Device{unusable(card0)}, kubelet(nil, nil), "no driver is bound to it"},
		"nobody serves it":                {[]discovery.Device{card0}, kubelet(nil, nil), notServed},
		"the kubelet does not list it":    {[]discovery.Device{card0}, kubelet(nil, held), notAllocatable},
		"the same, unknown to the kernel": {nil, kubelet(nil, held), notAllocatable},
		"the kernel has lost it":          {nil, kubelet(map[string][]string{i915: {"card0-0"}}, nil), deviceGone},
	} {
		t.Run(name, func(t *testing.T) {
			got := Merge(Machine{Devices: tc.found, Complete: true}, tc.kubelet, nil)
			if len(got) != 1 || got[0].Reason != tc.want || (got[0].Health == accel.Healthy) != (tc.want == "") {
				t.Errorf("got %+v, want the reason %q", got, tc.want)
			}
		})
	}
}
