package dradriver

import (
	"bytes"
	"net"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/expfmt"
	resourceapi "k8s.io/api/resource/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	lib "k8s.io/dynamic-resource-allocation/resourceslice"

	"heteroaccel.io/exporter/allocation"
	"heteroaccel.io/exporter/podresources"
	"heteroaccel.io/pkg/accel"
)

const (
	containerd2  = "containerd://2.4.2"
	containerd16 = "containerd://1.6.20~ds1"
	npuName      = "npu-0000-00-0b-0"
)

// TestPublish: taints come and go, and nothing is written while nothing changes.
func TestPublish(t *testing.T) {
	r := newRig(t, containerd2)
	d, _ := r.start("")
	r.expect("cpu", npuName)
	want := map[accel.DeviceKey]allocation.Driven{{Kind: "NPU", ID: "0000:00:0b.0"}: {Name: "devices.heteroaccel.io/n/" + npuName, Slots: 1}}
	if diff := cmp.Diff(want, d.Driven()); diff != "" {
		t.Errorf("driven (-want +got)\n%s", diff)
	}
	broken := npu()
	broken.Fault = "no driver is bound to it"
	r.set(broken)
	r.expect("cpu", npuName+" devices.heteroaccel.io/unhealthy=no-driver-is-bound-to-it")
	r.set(npu())
	r.expect("cpu", npuName)
	r.use(map[string]string{"/dev/accel/accel0": "blender"})
	r.expect("cpu", npuName+" devices.heteroaccel.io/in-use=blender")
	r.set()
	// For a moment it has both taints.
	r.expect("cpu", npuName+" devices.heteroaccel.io/unhealthy=the-kernel-has-no-such-device-any-more")
	r.set(npu())
	r.expect("cpu", npuName)
	// Each change once, with that moment or without it.
	d.mu.Lock()
	defer d.mu.Unlock()
	if got := d.state.counts.publications; got < 6 || got > 8 {
		t.Errorf("what is published changed %d times", got)
	}
}

// TestWithheld: a kind is published where nobody else serves it, and containers get it.
func TestWithheld(t *testing.T) {
	for name, tc := range map[string]struct {
		runtime string
		assumed bool
		arrange func(*rig)
		want    []string
		reason  string // of the NPU
	}{
		"containerd 2":                {containerd2, false, nil, []string{"cpu", npuName}, ""},
		"containerd 1.6":              {containerd16, false, nil, nil, "runtime_without_cdi"},
		"containerd 1.6, assumed":     {containerd16, true, nil, nil, "runtime_without_cdi"},
		"containerd 1.7":              {"containerd://1.7.27", false, nil, nil, "runtime_without_cdi"},
		"containerd 1.7, switched on": {"containerd://1.7.27", true, nil, []string{"cpu", npuName}, ""},
		"a device plugin": {containerd2, false, func(r *rig) {
			r.answer(&podresources.Answer{Allocatable: map[podresources.Slot]bool{{Resource: "npu.intel.com/accel", DeviceID: "accel0-0"}: true}})
		}, []string{"cpu"}, "device_plugin"},
		"a device plugin whose devices are all held": {containerd2, false, func(r *rig) {
			r.answer(&podresources.Answer{Held: map[podresources.Slot]podresources.Holder{{Resource: "example.com/any", DeviceID: "accel0"}: {Pod: "p"}}})
		}, []string{"cpu"}, "device_plugin"},
		"a device plugin, and the kubelet does not answer": {containerd2, false, func(r *rig) {
			r.answer(nil)
			r.serve("npu.intel.com/accel", "1")
		}, []string{"cpu"}, "device_plugin"},
		"a device plugin that is gone":    {containerd2, false, func(r *rig) { r.serve("npu.intel.com/accel", "0") }, []string{"cpu", npuName}, ""},
		"a device plugin of another kind": {containerd2, false, func(r *rig) { r.serve("gpu.intel.com/i915", "1") }, []string{"cpu", npuName}, ""},
		"another driver":                  {containerd2, false, func(r *rig) { r.publish("npu.example.com", "x", "") }, []string{"cpu"}, "other_driver"},
		"another driver, by the address":  {containerd2, false, func(r *rig) { r.publish("accelerators.example.com", "x", "0000:00:0b.0") }, []string{"cpu"}, "other_driver"},
		"another driver of another kind":  {containerd2, false, func(r *rig) { r.publish("gpu.example.com", "x", "0000:00:02.0") }, []string{"cpu", npuName}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, tc.runtime)
			r.config.RuntimeHasCDI = tc.assumed
			if tc.arrange != nil {
				tc.arrange(r)
			}
			d, _ := r.start("")
			eventually(t, "an empty slice, or one of the devices", func() bool {
				list, err := r.client.ResourceV1().ResourceSlices().List(t.Context(), metav1.ListOptions{})
				return err == nil && slices.ContainsFunc(list.Items, func(s resourceapi.ResourceSlice) bool { return s.Spec.Driver == accel.DeviceDriver })
			})
			r.expect(tc.want...)
			got := ""
			for _, line := range metrics(t, d) {
				if rest, ok := strings.CutPrefix(line, `heteroaccel_device_driver_withheld{kind="NPU",node="n",reason="`); ok {
					got, _, _ = strings.Cut(rest, `"`)
				}
			}
			if got != tc.reason {
				t.Errorf("the reason is %q, want %q", got, tc.reason)
			}
		})
	}
}

// publish has another driver publish a device of the node.
func (r *rig) publish(driver, device, address string) {
	r.t.Helper()
	s := &resourceapi.ResourceSlice{ObjectMeta: metav1.ObjectMeta{Name: driver}, Spec: resourceapi.ResourceSliceSpec{
		Driver: driver, NodeName: new("n"), Devices: []resourceapi.Device{{Name: device}},
	}}
	if address != "" {
		s.Spec.Devices[0].Attributes = map[resourceapi.QualifiedName]resourceapi.DeviceAttribute{pciBusID: {StringValue: &address}}
	}
	if _, err := r.client.ResourceV1().ResourceSlices().Create(r.t.Context(), s, metav1.CreateOptions{}); err != nil {
		r.t.Fatal(err)
	}
}

func metrics(t *testing.T, d *Driver) []string {
	t.Helper()
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(d)
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	var text bytes.Buffer
	for _, f := range families {
		if _, err := expfmt.MetricFamilyToText(&text, f); err != nil {
			t.Fatal(err)
		}
	}
	return strings.Split(text.String(), "\n")
}

// TestFeatures: what an API server lacks is not relied upon.
func TestFeatures(t *testing.T) {
	r := newRig(t, containerd2)
	r.config.Slots["NPU"] = 4
	d, _ := r.start("")
	r.expect("cpu", npuName)
	desired := &resourceapi.ResourceSlice{Spec: resourceapi.ResourceSliceSpec{Devices: []resourceapi.Device{{
		AllowMultipleAllocations: new(true), Taints: []resourceapi.DeviceTaint{{Key: "x"}},
	}}}}
	actual := &resourceapi.ResourceSlice{Spec: resourceapi.ResourceSliceSpec{Devices: []resourceapi.Device{{}}}}
	d.HandleError(t.Context(), &lib.DroppedFieldsError{DesiredSlice: desired, ActualSlice: actual}, "update")
	r.expect(npuName) // processors would be one pod's alone
	if got := d.Driven()[accel.DeviceKey{Kind: "NPU", ID: "0000:00:0b.0"}].Slots; got != 1 {
		t.Errorf("it is shared by %d", got)
	}
	broken := npu()
	broken.Fault = "broken"
	r.set(broken)
	r.expect() // without a taint it would look usable
}

// TestDeadSockets: those of an instance that was killed are removed, those of one that
// runs stay.
func TestDeadSockets(t *testing.T) {
	r := newRig(t, containerd2)
	_, stop := r.start("alive")
	k := kubelet{t, r.config.RegistryDir}
	k.register(1)
	for _, path := range []string{filepath.Join(r.config.RegistryDir, "devices.heteroaccel.io-dead-reg.sock"), filepath.Join(r.config.DataDir, "dra-dead.sock")} {
		ln, err := net.ListenUnix("unix", &net.UnixAddr{Name: path})
		if err != nil {
			t.Fatal(err)
		}
		ln.SetUnlinkOnClose(false)
		_ = ln.Close()
	}
	r.start("next")
	want := []string{"devices.heteroaccel.io-alive-reg.sock", "devices.heteroaccel.io-next-reg.sock"}
	eventually(t, "the dead sockets to go", func() bool { return cmp.Equal(want, files(t, r.config.RegistryDir)) })
	k.register(2)
	stop()
	if diff := cmp.Diff(want[1:], files(t, r.config.RegistryDir)); diff != "" {
		t.Errorf("after one has ended (-want +got)\n%s", diff)
	}
}
