package allocation

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"heteroaccel.io/exporter/discovery"
	"heteroaccel.io/exporter/podresources"
	"heteroaccel.io/pkg/accel"
)

// claim is a device of node-1's pool that the container c of a pod holds.
func claim(pod, name, driver, device string, cdi ...string) podresources.Claim {
	return podresources.Claim{Holder: podresources.Holder{Namespace: "ns", Pod: pod, Container: "c"}, Name: name,
		Driver: driver, Pool: "node-1", Device: device, CDI: cdi}
}

// by is a holder through a claim.
func by(pod, claim string, slots int) accel.Holder {
	return accel.Holder{Namespace: "ns", Pod: pod, Container: "c", Slots: slots, Claim: claim}
}

func TestClaims(t *testing.T) {
	arc := card("0000:03:00.0", "card1", "renderD129")
	arc.Names = append(arc.Names, "0000-03-00-0", "0000-03-00-0-0x56a0")
	nvidia := discovery.Device{Kind: "GPU", ID: "0000:17:00.0", Driver: "nvidia", Resource: "nvidia.com/gpu",
		Names: []string{"0000:17:00.0", "gpu.nvidia.com/gpu-0"}}
	const intel = "gpu.intel.com"
	type claims = []podresources.Claim
	// idle is a device of the machine that nobody serves.
	idle := gpu("0000:00:02.0", func(d *accel.Device) { d.Health = accel.Unhealthy })
	held := func(id, plugin string, holders ...accel.Holder) accel.Device {
		d := gpu(id, func(d *accel.Device) { d.Resource, d.PluginID, d.Holders, d.Slots = "", plugin, holders, 0 })
		for _, h := range holders {
			d.Slots += h.Slots
			d.Allocated += h.Slots
		}
		return d
	}
	for name, tc := range map[string]struct {
		found  []discovery.Device
		served map[string][]string
		claims claims
		want   []accel.Device
	}{
		"by the name that Intel's driver has": {
			[]discovery.Device{card0, arc}, nil, claims{claim("a", "x", intel, "0000-03-00-0-0x56a0")},
			[]accel.Device{idle, held("0000:03:00.0", "gpu.intel.com/node-1/0000-03-00-0-0x56a0", by("a", "x", 1))},
		},
		"by a PCI address in the name": {
			[]discovery.Device{card0, arc}, nil, claims{claim("a", "x", intel, "pci-0000-03-00-0")},
			[]accel.Device{idle, held("0000:03:00.0", "gpu.intel.com/node-1/pci-0000-03-00-0", by("a", "x", 1))},
		},
		"by the CDI device, of a driver whose name says nothing": {
			[]discovery.Device{card0, arc}, nil, claims{claim("a", "x", "dra.example.com", "d7", "example.com/gpu=card1")},
			[]accel.Device{idle, held("0000:03:00.0", "dra.example.com/node-1/d7", by("a", "x", 1))},
		},
		"parts of one device, by two pods": {
			[]discovery.Device{nvidia}, nil, claims{
				claim("a", "x", "gpu.nvidia.com", "gpu-0-mig-1g.5gb-0"), claim("b", "y", "gpu.nvidia.com", "gpu-0-mig-1g.5gb-1"), claim("b", "y", "gpu.nvidia.com", "gpu-0-mig-1g.5gb-2")},
			[]accel.Device{{Kind: "GPU", ID: "0000:17:00.0", Driver: "nvidia", PluginID: "gpu.nvidia.com/node-1/gpu-0-mig-1g.5gb-0",
				Health: accel.Healthy, Slots: 3, Allocated: 3, Holders: []accel.Holder{by("a", "x", 1), by("b", "y", 2)}}},
		},
		"a name that another driver's device has": {
			[]discovery.Device{nvidia, arc}, nil, claims{claim("a", "x", "gpu.example.com", "gpu-0")},
			[]accel.Device{
				{Kind: "GPU", ID: "0000:03:00.0", Driver: "i915", Health: accel.Healthy, Slots: 1, Allocated: -1},
				{Kind: "GPU", ID: "0000:17:00.0", Driver: "nvidia", Health: accel.Healthy, Slots: 1, Allocated: -1},
				{Kind: "GPU", ID: "gpu.example.com/node-1/gpu-0", PluginID: "gpu.example.com/node-1/gpu-0", Health: accel.Healthy, Slots: 1, Allocated: 1, Holders: []accel.Holder{by("a", "x", 1)}},
			},
		},
		"a claim that two pods share": {
			[]discovery.Device{arc}, nil, claims{claim("b", "x", intel, "0000-03-00-0-0x56a0"), claim("a", "x", intel, "0000-03-00-0-0x56a0")},
			[]accel.Device{held("0000:03:00.0", "gpu.intel.com/node-1/0000-03-00-0-0x56a0", by("a", "x", 1), by("b", "x", 1))},
		},
		"the only device that it can be": {
			[]discovery.Device{card0}, nil, claims{claim("a", "x", intel, "whatever")},
			[]accel.Device{held("0000:00:02.0", "gpu.intel.com/node-1/whatever", by("a", "x", 1))},
		},
		"a device that a device plugin offers too: nobody else may have it": {
			[]discovery.Device{arc}, map[string][]string{i915: {"card1-0"}}, claims{claim("a", "x", intel, "0000-03-00-0-0x56a0")},
			[]accel.Device{gpu("0000:03:00.0", func(d *accel.Device) {
				d.Health, d.PluginID, d.Slots, d.Allocated, d.Holders = accel.Unhealthy, "card1-0", 2, 1, []accel.Holder{by("a", "x", 1)}
			})},
		},
		"the same when neither name says which": {
			[]discovery.Device{stick}, map[string][]string{hddl: {"hddl-0"}}, claims{claim("a", "x", "usb.example.com", "1-2")},
			[]accel.Device{{Kind: "NPU", ID: "1-2", Resource: hddl, PluginID: "hddl-0", Health: accel.Unhealthy, Slots: 2, Allocated: 1, Holders: []accel.Holder{by("a", "x", 1)}}},
		},
		"a device that only its driver knows": {
			nil, nil, claims{claim("a", "x", "npu.example.com", "n0")},
			[]accel.Device{{Kind: "NPU", ID: "npu.example.com/node-1/n0", PluginID: "npu.example.com/node-1/n0", Health: accel.Healthy, Slots: 1, Allocated: 1, Holders: []accel.Holder{by("a", "x", 1)}}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			answer := kubelet(tc.served, nil)
			answer.Claims = tc.claims
			got := Merge(Machine{Devices: tc.found, Complete: true}, answer, nil)
			if diff := cmp.Diff(tc.want, got, noReason); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

// Ten thousand devices, half of them with names that say nothing.
func TestManyDevices(t *testing.T) {
	var found []discovery.Device
	answer := kubelet(nil, nil)
	for i := range 10_000 {
		id := string(rune('a'+i%26)) + "-" + string(rune(0x4e00+i))
		found = append(found, card(id, "card"+id, "renderD"+id))
		name := "card" + id
		if i%2 == 0 {
			name = "odd" + id
		}
		answer.Allocatable[podresources.Slot{Resource: i915, DeviceID: name}] = true
	}
	if got := len(Merge(Machine{Devices: found, Complete: true}, answer, nil)); got != 15_000 {
		t.Errorf("%d devices, want those of the machine and 5,000 unmatched ones", got)
	}
}

func TestDevicesWithTheSameID(t *testing.T) {
	twin := card0
	twin.Names = []string{"card9"}
	got := Merge(Machine{Devices: []discovery.Device{card0, twin}, Complete: true}, kubelet(nil, nil), nil)
	if len(got) != 2 || got[0].ID == got[1].ID {
		t.Errorf("two devices with one id: %+v", got)
	}
}
