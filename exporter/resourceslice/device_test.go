package resourceslice

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	resourceapi "k8s.io/api/resource/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/util/validation"

	"heteroaccel.io/exporter/discovery"
	"heteroaccel.io/pkg/accel"
)

func TestName(t *testing.T) {
	for name, tc := range map[string]struct {
		kind accel.Kind
		id   string
		want string
	}{
		"PCI":             {"NPU", "0000:00:0b.0", "npu-0000-00-0b-0"},
		"USB":             {"NPU", "1-2.1", "npu-1-2-1"},
		"on a chip":       {"GPU", "fb000000.gpu", "gpu-fb000000-gpu"},
		"another kind":    {"TPU.V2", "accel0", "tpu-v2-accel0"},
		"upper case":      {"GPU", "Card0", "gpu--ard0-c282c7e4"},
		"another letter":  {"GPU", "card_0", "gpu-card-0-56fe4278"},
		"a dash at last":  {"GPU", "x-", "gpu-x--c8b60efc"},
		"too long":        {"FPGA", strings.Repeat("a", 80), "fpga-" + strings.Repeat("a", 49) + "-0f45e858"},
		"of Hyper-V's id": {"GPU", "10de5a2b:00:00.0", "gpu-10de5a2b-00-00-0"},
	} {
		t.Run(name, func(t *testing.T) {
			got := Name(tc.kind, tc.id)
			if got != tc.want {
				t.Errorf("%q, want %q", got, tc.want)
			}
			if problems := validation.IsDNS1123Label(got); len(problems) > 0 {
				t.Errorf("%q is no name: %v", got, problems)
			}
		})
	}
}

// npu is what discovery finds of a Core Ultra.
var npu = discovery.Device{Kind: "NPU", ID: "0000:00:0b.0", Vendor: "Intel", Model: "NPU of Lunar Lake", Driver: "intel_vpu", NUMA: new(1), Files: []string{"/dev/accel/accel0"}}

func text(s string) resourceapi.DeviceAttribute { return resourceapi.DeviceAttribute{StringValue: &s} }

func TestDescribe(t *testing.T) {
	one, four := resource.MustParse("1"), resource.MustParse("4")
	attributes := map[resourceapi.QualifiedName]resourceapi.DeviceAttribute{
		"kind": text("npu"), "vendor": text("Intel"), "model": text("NPU of Lunar Lake"), "driver": text("intel_vpu"), "numaNode": {IntValue: new(int64(1))},
	}
	for name, tc := range map[string]struct {
		got, want resourceapi.Device
	}{
		"for one claim": {Offer{Device: npu, Slots: 1}.describe(), resourceapi.Device{Name: "npu-0000-00-0b-0", Attributes: attributes}},
		"shared": {Offer{Device: npu, Slots: 4}.describe(), resourceapi.Device{
			Name: "npu-0000-00-0b-0", Attributes: attributes, AllowMultipleAllocations: new(true),
			Capacity: map[resourceapi.QualifiedName]resourceapi.DeviceCapacity{"slots": {Value: four, RequestPolicy: &resourceapi.CapacityRequestPolicy{
				Default: &one, ValidRange: &resourceapi.CapacityRequestPolicyRange{Min: &one, Max: &four, Step: &one},
			}}},
		}},
		"little is known": {
			Offer{
				Device:   discovery.Device{Kind: "FPGA", ID: "region0", Model: strings.Repeat("ü", 40)},
				Standard: map[resourceapi.QualifiedName]resourceapi.DeviceAttribute{"resource.kubernetes.io/pcieRoot": text("pci0000:00")},
			}.describe(),
			resourceapi.Device{Name: "fpga-region0", Attributes: map[resourceapi.QualifiedName]resourceapi.DeviceAttribute{
				"kind": text("fpga"), "model": text(strings.Repeat("ü", 32)), "resource.kubernetes.io/pcieRoot": text("pci0000:00"),
			}},
		},
		"CPU": {CPU("Intel", "Xeon"), resourceapi.Device{
			Name: "cpu", AllowMultipleAllocations: new(true),
			Attributes: map[resourceapi.QualifiedName]resourceapi.DeviceAttribute{"kind": text("cpu"), "vendor": text("Intel"), "model": text("Xeon")},
		}},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tc.want, tc.got); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

func TestFaults(t *testing.T) {
	broken, bare := npu, npu
	broken.Fault = "no driver is bound to it"
	bare.Files = nil
	for name, tc := range map[string]struct {
		offer Offer
		want  map[string]string
	}{
		"usable":   {Offer{Device: npu}, map[string]string{}},
		"broken":   {Offer{Device: broken}, map[string]string{accel.TaintUnhealthy: "no driver is bound to it"}},
		"no file":  {Offer{Device: bare}, map[string]string{accel.TaintUnhealthy: "it has no device file"}},
		"in use":   {Offer{Device: npu, UsedBy: "blender"}, map[string]string{accel.TaintInUse: "blender"}},
		"all that": {Offer{Device: broken, UsedBy: "blender"}, map[string]string{accel.TaintUnhealthy: "no driver is bound to it", accel.TaintInUse: "blender"}},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tc.want, tc.offer.faults()); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

func TestLabelValue(t *testing.T) {
	for sentence, want := range map[string]string{
		"":                                      "",
		"no driver is bound to it":              "no-driver-is-bound-to-it",
		"it doesn't work: (0x12)":               "it-doesnt-work-0x12",
		"(sd-pam)":                              "sd-pam",
		"ü":                                     "",
		strings.Repeat("a ", 60):                strings.TrimSuffix(strings.Repeat("a-", 32), "-"),
		"its physical function 0000:03:00.0: x": "its-physical-function-0000-03-00-0-x",
	} {
		got := labelValue(sentence)
		if got != want || len(validation.IsValidLabelValue(got)) > 0 {
			t.Errorf("%q: %q, want %q", sentence, got, want)
		}
	}
}

func TestPool(t *testing.T) {
	for devices, want := range map[int][]int{0: {0}, 1: {1}, 64: {64}, 65: {64, 1}, 130: {64, 64, 2}} {
		var all []resourceapi.Device
		for i := range devices {
			all = append(all, resourceapi.Device{Name: fmt.Sprint(i)})
		}
		var got []int
		for _, s := range Pool(all).Slices {
			got = append(got, len(s.Devices))
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%d devices (-want +got)\n%s", devices, diff)
		}
	}
}
