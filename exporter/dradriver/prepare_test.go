package dradriver

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	resourceapi "k8s.io/api/resource/v1"
	"tags.cncf.io/container-device-interface/pkg/cdi"

	"heteroaccel.io/exporter/discovery"
)

// TestPrepare: a claim's life, with the kubelet's calls over its sockets.
func TestPrepare(t *testing.T) {
	r := newRig(t, containerd2)
	d, _ := r.start("")
	k := kubelet{t, r.config.RegistryDir}
	driver := k.register(1)[0]
	r.expect("cpu", npuName)
	claim := r.claim("c", npuName)
	file := filepath.Join(r.config.CDIDir, "devices.heteroaccel.io-claim_c-uid.json")
	for _, when := range []string{"first", "again"} {
		got, failed := k.prepare(driver, claim)
		if diff := cmp.Diff([]string{"n/" + npuName + "=devices.heteroaccel.io/claim=c-uid-" + npuName}, got); failed != "" || diff != "" {
			t.Errorf("%s: %s (-want +got)\n%s", when, failed, diff)
		}
	}
	spec, err := cdi.ReadSpec(file, 0)
	if err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(filepath.Join(r.config.Dev, "accel/accel0"))
	if err != nil {
		t.Fatal(err)
	}
	edits := spec.Devices[0].ContainerEdits
	group := info.Sys().(*syscall.Stat_t).Gid
	if edits.DeviceNodes[0].Path != "/dev/accel/accel0" || group != 0 && edits.AdditionalGIDs[0] != group {
		t.Errorf("containers get %+v", edits)
	}

	// The kubelet asks again while the device is away, as after its own restart.
	r.set()
	if got, failed := k.prepare(driver, claim); failed != "" || len(got) != 1 {
		t.Errorf("while it is away: %q, %s", got, failed)
	}
	other := r.claim("other", npuName)
	if _, failed := k.prepare(driver, other); !strings.Contains(failed, "has no device "+npuName+" any more") {
		t.Errorf("another claim, while it is away: %q", failed)
	}
	r.set(npu())
	if _, failed := k.prepare(driver, other); !strings.Contains(failed, "still prepared for claim ns/c") {
		t.Errorf("a second claim of the device: %q", failed)
	}

	for range 2 {
		if failed := k.unprepare(driver, claim); failed != "" {
			t.Error(failed)
		}
	}
	if got := files(t, r.config.CDIDir); len(got) > 0 {
		t.Errorf("files that are left: %q", got)
	}
	if _, failed := k.prepare(driver, other); failed != "" {
		t.Errorf("a second claim, after the first: %s", failed)
	}
	// The first claim is gone without having been unprepared: no device is blocked
	// for ever.
	r.remove(other)
	if _, failed := k.prepare(driver, claim); failed != "" {
		t.Errorf("after a claim that is gone: %s", failed)
	}
	if diff := cmp.Diff([]string{filepath.Base(file)}, files(t, r.config.CDIDir)); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	for _, want := range []string{
		`heteroaccel_device_driver_calls_total{call="prepare",node="n",outcome="done"} 5`,
		`heteroaccel_device_driver_calls_total{call="prepare",node="n",outcome="failed"} 2`,
		`heteroaccel_device_driver_calls_total{call="unprepare",node="n",outcome="done"} 2`,
		`heteroaccel_device_driver_devices{kind="NPU",node="n"} 1`,
		`heteroaccel_device_driver_prepared_claims{node="n"} 1`,
		`heteroaccel_device_driver_registered{node="n"} 1`,
	} {
		if got := strings.Join(metrics(t, d), "\n"); !strings.Contains(got, want+"\n") {
			t.Errorf("metrics lack %s:\n%s", want, got)
		}
	}
}

// TestClaims: what claims may have, other than one device.
func TestClaims(t *testing.T) {
	stick := discovery.Device{Kind: "NPU", ID: "1-2", Files: []string{"/dev/bus/usb/001/004"}}
	for name, tc := range map[string]struct {
		slots   int
		devices []string
		want    []string
		failed  string
	}{
		"the CPU":          {1, []string{"cpu"}, []string{"n/cpu="}, ""},
		"CPU and NPU":      {1, []string{"cpu", npuName}, []string{"n/cpu=", "n/" + npuName + "=devices.heteroaccel.io/claim=b-uid-" + npuName}, ""},
		"a shared one":     {4, []string{npuName, npuName}, []string{"n/" + npuName + "=devices.heteroaccel.io/claim=b-uid-" + npuName, "n/" + npuName + "=devices.heteroaccel.io/claim=b-uid-" + npuName}, ""},
		"nothing of ours":  {1, nil, nil, ""},
		"one that is gone": {1, []string{"npu-gone"}, nil, "has no device npu-gone any more"},
		"no file":          {1, []string{"npu-1-2"}, nil, "dev/bus/usb/001/004: no such file"},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, containerd2)
			r.config.Slots["NPU"] = tc.slots
			r.set(npu(), stick)
			r.start("")
			k := kubelet{t, r.config.RegistryDir}
			driver := k.register(1)[0]
			if tc.slots > 1 { // which another claim has a slot of
				if _, failed := k.prepare(driver, r.claim("a", npuName)); failed != "" {
					t.Fatal(failed)
				}
			}
			got, failed := k.prepare(driver, r.claim("b", tc.devices...))
			if diff := cmp.Diff(tc.want, got); diff != "" || !strings.Contains(failed, tc.failed) || (failed == "") != (tc.failed == "") {
				t.Errorf("%s (-want +got)\n%s", failed, diff)
			}
		})
	}
}

// TestWithoutCDI: no container starts without its device. The CPU is none.
func TestWithoutCDI(t *testing.T) {
	r := newRig(t, containerd16)
	d, _ := r.start("")
	k := kubelet{t, r.config.RegistryDir}
	driver := k.register(1)[0]
	eventually(t, "the runtime's version", func() bool { return d.lacksCDI() != "" })
	if _, failed := k.prepare(driver, r.claim("c", npuName)); !strings.Contains(failed, "containerd 1.6.20~ds1 has no CDI") {
		t.Errorf("prepared: %q", failed)
	}
	if _, failed := k.prepare(driver, r.claim("cpu", "cpu")); failed != "" {
		t.Error(failed)
	}
}

// TestRestart: a driver that starts knows what an earlier one prepared, and removes
// what nobody has any more.
func TestRestart(t *testing.T) {
	r := newRig(t, containerd2)
	_, stop := r.start("one")
	k := kubelet{t, r.config.RegistryDir}
	driver := k.register(1)[0]
	r.set(npu(), discovery.Device{Kind: "NPU", ID: "0000:00:0c.0", Files: []string{"/dev/accel/accel0"}}, discovery.Device{Kind: "NPU", ID: "0000:00:0d.0", Files: []string{"/dev/accel/accel0"}})
	claims := map[string]*resourceapi.ResourceClaim{}
	for name, device := range map[string]string{"stays": npuName, "gone": "npu-0000-00-0c-0", "recreated": "npu-0000-00-0d-0"} {
		claims[name] = r.claim(name, device)
		if _, failed := k.prepare(driver, claims[name]); failed != "" {
			t.Fatal(failed)
		}
	}
	stop()
	r.remove(claims["gone"])
	r.remove(claims["recreated"])
	another := claims["recreated"].DeepCopy()
	another.UID = "another-uid"
	if err := r.client.Tracker().Add(another); err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string]string{"devices.heteroaccel.io-claim_half.json": "{", "vendor.com-gpu.json": "{}"} {
		if err := os.WriteFile(filepath.Join(r.config.CDIDir, name), []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}

	r.start("two")
	driver = k.register(1)[0]
	want := []string{"devices.heteroaccel.io-claim_stays-uid.json", "vendor.com-gpu.json"}
	eventually(t, "leftover files to go", func() bool { return cmp.Equal(want, files(t, r.config.CDIDir)) })
	if _, failed := k.prepare(driver, claims["stays"]); failed != "" {
		t.Error(failed)
	}
	for _, name := range []string{"stays", "gone"} {
		if failed := k.unprepare(driver, claims[name]); failed != "" {
			t.Errorf("%s: %s", name, failed)
		}
	}
	if diff := cmp.Diff(want[1:], files(t, r.config.CDIDir)); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

// TestTwoInstances: while a DaemonSet is updated, one may prepare a claim and the other
// unprepare it; what is published stays.
func TestTwoInstances(t *testing.T) {
	r := newRig(t, containerd2)
	_, stop := r.start("one")
	r.expect("cpu", npuName)
	r.start("two")
	k := kubelet{t, r.config.RegistryDir}
	drivers := k.register(2)
	claim := r.claim("c", npuName)
	for i := range 3 {
		if _, failed := k.prepare(drivers[i%2], claim); failed != "" {
			t.Fatal(failed)
		}
		if failed := k.unprepare(drivers[(i+1)%2], claim); failed != "" {
			t.Fatal(failed)
		}
		if got := files(t, r.config.CDIDir); len(got) > 0 {
			t.Errorf("files that are left: %q", got)
		}
	}
	if _, failed := k.prepare(drivers[0], claim); failed != "" {
		t.Fatal(failed)
	}
	stop()
	r.expect("cpu", npuName)
	if failed := k.unprepare(drivers[1], claim); failed != "" {
		t.Fatal(failed)
	}
}
