package allocation

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"heteroaccel.io/exporter/discovery"
	"heteroaccel.io/exporter/podresources"
	"heteroaccel.io/pkg/accel"
)

var (
	gaudi0 = discovery.Device{Kind: "NPU", ID: "0000:19:00.0", Driver: "habanalabs", Vendor: "Habana Labs", Names: []string{"0000:19:00.0", "accel0"}}
	gaudi1 = discovery.Device{Kind: "NPU", ID: "0000:b3:00.0", Driver: "habanalabs", Vendor: "Habana Labs", Names: []string{"0000:b3:00.0", "accel1"}}
	rknn   = discovery.Device{Kind: "NPU", ID: "rknn", Names: []string{"rknn", "accel0"}}
	arc    = discovery.Device{Kind: "GPU", ID: "0000:03:00.0", Driver: "xe", Vendor: "Intel", Names: []string{"0000:03:00.0", "card1", "renderD128"}}
	mali   = discovery.Device{Kind: "GPU", ID: "fb000000.gpu", Driver: "panthor", OnlyIfServed: true, Names: []string{"fb000000.gpu", "card0", "renderD128"}}
	a100   = discovery.Device{Kind: "GPU", ID: "0000:17:00.0", Driver: "nvidia", Vendor: "NVIDIA", Resource: "nvidia.com/gpu", Instances: 3,
		Names: []string{"0000:17:00.0", "GPU-5d5ba0d6-d33d-2b2c-524d-9e3d8d2b8a77"}}
	other100 = discovery.Device{Kind: "GPU", ID: "0000:65:00.0", Driver: "nvidia", Vendor: "NVIDIA", Resource: "nvidia.com/gpu", Instances: 7,
		Names: []string{"0000:65:00.0", "GPU-b1028956-cfa2-0990-bf4a-5da9abb51763"}}
	mi300 = discovery.Device{Kind: "GPU", ID: "0000:05:00.0", Driver: "amdgpu", Vendor: "AMD", Names: []string{"0000:05:00.0", "card1", "renderD128", "amdgpu_xcp_0", "card2", "renderD129"}}
	hashA = "b5c1d0a9f7e34c2d8a6b1e0f4d3c2b1a90817263"
	hashB = "0a1b2c3d4e5f60718293a4b5c6d7e8f90a1b2c3d"
)

// broken is a device that the kernel finds a fault with.
func broken(d discovery.Device) discovery.Device {
	d.Fault = "its firmware failed"
	return d
}

// row is a merged device in short.
type row struct {
	Kind         accel.Kind
	ID, Resource string
	Slots        int
	Health       string
}

func rows(devices []accel.Device) []row {
	var out []row
	for _, d := range devices {
		out = append(out, row{d.Kind, d.ID, d.Resource, d.Slots, d.Health.String()})
	}
	return out
}

// An id that names a device by its address or its kernel name means that device,
// whatever its resource is called and however the plugin writes it.
func TestIDsThatNameADevice(t *testing.T) {
	found := []discovery.Device{gaudi0, gaudi1, arc}
	npu, gpu := "0000:19:00.0", "0000:03:00.0"
	for id, want := range map[string]string{
		"0000:19:00.0": npu, "0000:19:00.0-1": npu, "0000:19:00.0_2": npu, "0000:19:00.0::3": npu, "00000000:19:00.0": npu,
		"19:00.0": npu, "0000-19-00-0": npu, "0000_19_00_0": npu, "pci-0000:19:00.0": npu, "0000:19:00.0-render-0": npu,
		"accel0": npu, "accel0-0": npu, "accel0_7": npu, "accel0::1": npu, "/dev/accel/accel0": npu, "/dev/accel/accel0-2": npu, "accel/accel0": npu,
		"card1": gpu, "card1-0": gpu, "card1_0": gpu, "/dev/dri/card1": gpu, "renderD128": gpu, "renderD128-3": gpu, "/dev/dri/renderD128": gpu,
		"dri-renderD128": gpu, "/dev/dri/by-path/pci-0000:03:00.0-render": gpu, "0000:03:00.0/2": gpu,
		"accel10": "", "accel": "", "card12-0": "", "soundcard1": "", "0000:19:00.1": "", "0001:19:00.0": "", hashA: "", "1": "", "": "",
		"GPU-8d1c3b1e-1b5a-4c0e-9f10-000000000042": "",
	} {
		for _, resource := range []string{"example.com/thing", "example.com/gpu", "habana.ai/gaudi"} {
			answer := kubelet(map[string][]string{resource: {id}}, nil)
			got := ""
			for _, d := range Merge(Machine{Devices: found}, answer, nil) {
				if d.Resource == resource && d.PluginID != "" && d.Vendor != "" {
					got = d.ID
				}
			}
			if got != want && !(want == "" && resource == "example.com/gpu") { // there elimination finds the only GPU
				t.Errorf("%s of %s is %q, want %q", id, resource, got, want)
			}
		}
	}
}

func TestUnnamedKinds(t *testing.T) {
	type ids = map[string][]string
	mig := func(n string) string { return "MIG-1b2c8d3e-0f4a-5b6c-8d7e-9f0a1b2c3d4" + n }
	for name, tc := range map[string]struct {
		found   []discovery.Device
		present map[string]bool
		served  ids
		want    []row
	}{
		"addresses under a name that says nothing": {[]discovery.Device{gaudi0, gaudi1}, nil, ids{"habana.ai/gaudi": {"0000:19:00.0", "0000:b3:00.0"}}, []row{
			{"NPU", "0000:19:00.0", "habana.ai/gaudi", 1, "healthy"}, {"NPU", "0000:b3:00.0", "habana.ai/gaudi", 1, "healthy"}}},
		"one of them is not on the bus any more": {[]discovery.Device{gaudi0}, map[string]bool{"0000:19:00.0": true}, ids{"habana.ai/gaudi": {"0000:19:00.0", "0000:b3:00.0"}}, []row{
			{"NPU", "0000:19:00.0", "habana.ai/gaudi", 1, "healthy"}, {"NPU", "0000:b3:00.0", "habana.ai/gaudi", 1, "unhealthy"}}},
		"what is on the bus could not be read": {[]discovery.Device{gaudi0}, nil, ids{"habana.ai/gaudi": {"0000:19:00.0", "0000:b3:00.0"}}, []row{
			{"NPU", "0000:19:00.0", "habana.ai/gaudi", 1, "healthy"}, {"NPU", "0000:b3:00.0", "habana.ai/gaudi", 1, "healthy"}}},
		"network cards": {[]discovery.Device{gaudi0}, map[string]bool{"0000:19:00.0": true, "0000:3b:00.1": true, "0000:3b:00.2": true}, ids{"example.com/nic_vf": {"0000:3b:00.1", "0000:3b:00.2"}}, []row{
			{"NIC_VF", "example.com/nic_vf", "example.com/nic_vf", 2, "healthy"}, {"NPU", "0000:19:00.0", "", 1, "unhealthy"}}},
		"a network card among accelerators": {[]discovery.Device{gaudi0}, map[string]bool{"0000:19:00.0": true, "0000:3b:00.1": true}, ids{"example.com/passed": {"0000:19:00.0", "0000:3b:00.1"}}, []row{
			{"NPU", "0000:19:00.0", "example.com/passed", 1, "healthy"}, {"PASSED", "example.com/passed", "example.com/passed", 1, "healthy"}}},
		"a display served as a GPU": {nil, map[string]bool{"card0": true}, ids{"squat.ai/gpu": {"card0"}}, []row{{"GPU", "card0", "squat.ai/gpu", 1, "healthy"}}},
		"shares of a device": {[]discovery.Device{gaudi0, gaudi1}, nil, ids{"habana.ai/gaudi": {"accel0-0", "accel0-1", "accel1-0", "accel1-1"}}, []row{
			{"NPU", "0000:19:00.0", "habana.ai/gaudi", 2, "healthy"}, {"NPU", "0000:b3:00.0", "habana.ai/gaudi", 2, "healthy"}}},
		"two nodes of one card": {[]discovery.Device{arc}, nil, ids{"smarter-devices/card1": {"card1-0"}, "smarter-devices/renderD128": {"renderD128-0", "renderD128-1"}}, []row{
			{"GPU", "0000:03:00.0", "smarter-devices/card1", 1, "healthy"}, {"GPU", "smarter-devices/renderD128/0000:03:00.0", "smarter-devices/renderD128", 2, "healthy"}}},
		"a broken card under two resources": {[]discovery.Device{broken(arc)}, nil, ids{"a.example.com/x": {"card1"}, "b.example.com/y": {"renderD128"}}, []row{
			{"GPU", "0000:03:00.0", "a.example.com/x", 1, "unhealthy"}, {"GPU", "b.example.com/y/0000:03:00.0", "b.example.com/y", 1, "unhealthy"}}},
		"a hash, and the only device of the kind": {[]discovery.Device{rknn}, nil, ids{"squat.ai/npu": {hashA}}, []row{{"NPU", "rknn", "squat.ai/npu", 1, "healthy"}}},
		"hashes of the shares of it":              {[]discovery.Device{rknn}, nil, ids{"squat.ai/npu": {hashA, hashB}}, []row{{"NPU", "rknn", "squat.ai/npu", 2, "healthy"}}},
		"a hash, and two devices": {[]discovery.Device{gaudi0, gaudi1}, nil, ids{"squat.ai/npu": {hashA}}, []row{
			{"NPU", "0000:19:00.0", "", 1, "healthy"}, {"NPU", "0000:b3:00.0", "", 1, "healthy"}, {"NPU", hashA, "squat.ai/npu", 1, "healthy"}}},
		"hashes of two resources": {[]discovery.Device{rknn}, nil, ids{"squat.ai/npu": {hashA}, "other.example.com/npu": {hashB}}, []row{
			{"NPU", hashB, "other.example.com/npu", 1, "healthy"}, {"NPU", hashA, "squat.ai/npu", 1, "healthy"}, {"NPU", "rknn", "", 1, "healthy"}}},
		"a hash of another vendor's": {[]discovery.Device{vpuOfIntel()}, nil, ids{"hailo.ai/npu": {hashA}}, []row{
			{"NPU", "0000:00:0b.0", "", 1, "healthy"}, {"NPU", hashA, "hailo.ai/npu", 1, "healthy"}}},
		"a hash under a name that says nothing": {[]discovery.Device{rknn}, nil, ids{"example.com/thing": {hashA}}, []row{
			{"NPU", "rknn", "", 1, "unhealthy"}, {"THING", "example.com/thing", "example.com/thing", 1, "healthy"}}},
		"hashes of two cards, one broken": {[]discovery.Device{gaudi0, broken(gaudi1)}, nil, ids{"squat.ai/npu": {hashA, hashB}}, []row{
			{"NPU", "0000:19:00.0", "", 1, "healthy"}, {"NPU", "0000:b3:00.0", "", 1, "unhealthy"},
			{"NPU", hashB, "squat.ai/npu", 1, "unknown"}, {"NPU", hashA, "squat.ai/npu", 1, "unknown"}}},
		"a hash of two cards, one broken and perhaps not served": {[]discovery.Device{gaudi0, broken(gaudi1)}, nil, ids{"squat.ai/npu": {hashA}}, []row{
			{"NPU", "0000:19:00.0", "", 1, "healthy"}, {"NPU", "0000:b3:00.0", "", 1, "unhealthy"}, {"NPU", hashA, "squat.ai/npu", 1, "healthy"}}},
		"a chip's GPU that is served":     {[]discovery.Device{mali}, nil, ids{"squat.ai/gpu": {hashA}}, []row{{"GPU", "fb000000.gpu", "squat.ai/gpu", 1, "healthy"}}},
		"a chip's GPU served by its node": {[]discovery.Device{mali}, nil, ids{"example.com/dri": {"/dev/dri/renderD128"}}, []row{{"GPU", "fb000000.gpu", "example.com/dri", 1, "healthy"}}},
		"a chip's GPU that nobody serves": {[]discovery.Device{mali, rknn}, nil, ids{"squat.ai/npu": {hashA}}, []row{{"NPU", "rknn", "squat.ai/npu", 1, "healthy"}}},
		"MIG devices of two sizes": {[]discovery.Device{a100}, nil, ids{"nvidia.com/mig-1g.10gb": {mig("a"), mig("b")}, "nvidia.com/mig-3g.40gb": {mig("c")}}, []row{
			{"GPU", "0000:17:00.0", "nvidia.com/mig-1g.10gb", 2, "healthy"}, {"GPU", "nvidia.com/mig-3g.40gb/0000:17:00.0", "nvidia.com/mig-3g.40gb", 1, "healthy"}}},
		"MIG devices served as GPUs": {[]discovery.Device{a100}, nil, ids{"nvidia.com/gpu": {mig("a"), mig("b"), mig("c")}}, []row{{"GPU", "0000:17:00.0", "nvidia.com/gpu", 3, "healthy"}}},
		"MIG devices of a broken card": {[]discovery.Device{broken(a100)}, nil, ids{"nvidia.com/mig-1g.10gb": {mig("a"), mig("b")}}, []row{
			{"GPU", "0000:17:00.0", "nvidia.com/mig-1g.10gb", 2, "unhealthy"}}},
		"MIG devices that name their card": {[]discovery.Device{a100, other100}, nil, ids{"nvidia.com/mig-1g.10gb": {"MIG-" + other100.Names[1] + "/1/0", "MIG-" + other100.Names[1] + "/2/0", "MIG-" + a100.Names[1] + "/1/0"}}, []row{
			{"GPU", "0000:17:00.0", "nvidia.com/mig-1g.10gb", 1, "healthy"}, {"GPU", "0000:65:00.0", "nvidia.com/mig-1g.10gb", 2, "healthy"}}},
		"MIG devices of one of two cards": {[]discovery.Device{a100, other100}, nil, ids{"nvidia.com/mig-1g.10gb": {mig("a"), mig("b")}}, []row{
			{"GPU", "0000:17:00.0", "", 1, "healthy"}, {"GPU", "0000:65:00.0", "", 1, "healthy"},
			{"GPU", mig("a"), "nvidia.com/mig-1g.10gb", 1, "healthy"}, {"GPU", mig("b"), "nvidia.com/mig-1g.10gb", 1, "healthy"}}},
		"parts of an AMD card":                    {[]discovery.Device{mi300}, nil, ids{"amd.com/cpx_nps4": {"0000:05:00.0", "amdgpu_xcp_0"}}, []row{{"GPU", "0000:05:00.0", "amd.com/cpx_nps4", 2, "healthy"}}},
		"a part of a card that was not found":     {nil, nil, ids{"amd.com/cpx_nps4": {"amdgpu_xcp_3"}}, []row{{"GPU", "amdgpu_xcp_3", "amd.com/cpx_nps4", 1, "healthy"}}},
		"a resource whose name says another kind": {[]discovery.Device{gaudi0}, nil, ids{"example.com/gpu": {"accel0"}}, []row{{"NPU", "0000:19:00.0", "example.com/gpu", 1, "healthy"}}},
	} {
		t.Run(name, func(t *testing.T) {
			got := rows(Merge(Machine{Devices: tc.found, Complete: true, Present: tc.present}, kubelet(tc.served, nil), nil))
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

func vpuOfIntel() discovery.Device {
	d := vpu
	d.Vendor = "Intel"
	return d
}

// Nothing is matched by elimination when not everything could be read.
func TestNoEliminationAfterAnIncompleteRead(t *testing.T) {
	got := rows(Merge(Machine{Devices: []discovery.Device{rknn}}, kubelet(map[string][]string{"squat.ai/npu": {hashA, hashB}}, nil), nil))
	want := []row{{"NPU", hashB, "squat.ai/npu", 1, "healthy"}, {"NPU", hashA, "squat.ai/npu", 1, "healthy"}, {"NPU", "rknn", "", 1, "healthy"}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

// Containers that hold parts of a card hold slots of the card, each counted once.
func TestHoldersOfParts(t *testing.T) {
	const resource = "amd.com/cpx_nps4"
	held := map[podresources.Slot]string{{Resource: resource, DeviceID: "amdgpu_xcp_0"}: "a"}
	got := Merge(Machine{Devices: []discovery.Device{mi300}, Complete: true}, kubelet(map[string][]string{resource: {"0000:05:00.0", "amdgpu_xcp_0"}}, held), nil)
	if len(got) != 1 || got[0].Slots != 2 || got[0].Allocated != 1 || got[0].PluginID != "" {
		t.Fatalf("got %+v", got)
	}
	if diff := cmp.Diff([]accel.Holder{holder("a", 1)}, got[0].Holders); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

// Health that the kernel does not know is unknown, unless the kubelet knows it.
func TestUnknownHealth(t *testing.T) {
	unknown := gaudi0
	unknown.Unknown = "its driver resets it"
	passthrough := arc
	passthrough.Fault, passthrough.Passthrough = "it is set aside for a virtual machine", true
	const resource = "habana.ai/gaudi"
	for name, tc := range map[string]struct {
		found   discovery.Device
		kubelet *podresources.Answer
		want    accel.Health
	}{
		"served":                          {unknown, kubelet(map[string][]string{resource: {"accel0"}}, nil), accel.HealthUnknown},
		"the kubelet does not answer":     {unknown, nil, accel.HealthUnknown},
		"the kubelet withdraws it":        {unknown, kubelet(nil, map[podresources.Slot]string{{Resource: resource, DeviceID: "accel0"}: "a"}), accel.Unhealthy},
		"nobody serves it":                {unknown, kubelet(nil, nil), accel.Unhealthy},
		"a fault besides":                 {broken(unknown), kubelet(map[string][]string{resource: {"accel0"}}, nil), accel.Unhealthy},
		"set aside, and served":           {passthrough, kubelet(map[string][]string{"example.com/arc": {"0000:03:00.0"}}, nil), accel.Healthy},
		"set aside, and served by nobody": {passthrough, kubelet(nil, nil), accel.Unhealthy},
	} {
		t.Run(name, func(t *testing.T) {
			got := Merge(Machine{Devices: []discovery.Device{tc.found}, Complete: true}, tc.kubelet, nil)
			if len(got) != 1 || got[0].Health != tc.want || (got[0].Reason == "") != (tc.want == accel.Healthy) {
				t.Errorf("got %+v, want %s", got, tc.want)
			}
		})
	}
	if got := Merge(Machine{Devices: []discovery.Device{mali}, Complete: true}, nil, nil); len(got) != 0 {
		t.Errorf("a chip's GPU that nothing serves: %+v", got)
	}
}
