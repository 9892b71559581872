package discovery

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// onBus is a tree of a PCI function with a driver, and more files.
func onBus(address, vendor, product, driver string, more map[string]string) map[string]string {
	dir := "devices/pci0000:00/" + address + "/"
	out := map[string]string{
		dir + "vendor": "0x" + vendor, dir + "device": "0x" + product, dir + "class": "0x120000",
		dir + "uevent": "DRIVER=" + driver + "\nPCI_SLOT_NAME=" + address, dir + "subsystem": "->../../../bus/pci",
		"bus/pci/devices/" + address: "->../../../devices/pci0000:00/" + address,
	}
	for name, value := range more {
		if rest, ok := strings.CutPrefix(name, "/"); ok {
			out[rest] = value
		} else {
			out[dir+name] = value
		}
	}
	return out
}

// The health of a device that its driver reports, if it does.
func TestDriverHealth(t *testing.T) {
	const address = "0000:19:00.0"
	gaudi := func(status string) map[string]string {
		return onBus(address, "1da3", "1020", "habanalabs", map[string]string{
			"accel/accel0/status": status, "accel/accel0/device": "->../../../" + address,
			"/class/accel/accel0": "->../../devices/pci0000:00/" + address + "/accel/accel0",
		})
	}
	aic := func(state string) map[string]string {
		return onBus(address, "17cb", "a100", "qaic", map[string]string{
			"accel/accel0/dbc0_state": "0", "accel/accel0/dbc1_state": state, "accel/accel0/device": "->../../../" + address,
			"/class/accel/accel0": "->../../devices/pci0000:00/" + address + "/accel/accel0",
		})
	}
	xe := func(mode string) map[string]string {
		return onBus(address, "8086", "e211", "xe", map[string]string{
			"survivability_mode": mode, "drm/card0/device": "->../../../" + address,
			"/class/drm/card0": "->../../devices/pci0000:00/" + address + "/drm/card0",
		})
	}
	type health struct{ Fault, Unknown string }
	for name, tc := range map[string]struct {
		find  func(Mounts) ([]Device, error)
		files map[string]string
		want  health
	}{
		"Gaudi operational":           {NPUs, gaudi("Operational"), health{}},
		"Gaudi disabled":              {NPUs, gaudi("Disabled"), health{Fault: "its driver has disabled it"}},
		"Gaudi malfunction":           {NPUs, gaudi("Malfunction"), health{Fault: "its driver calls it malfunctioning"}},
		"Gaudi needs reset":           {NPUs, gaudi("Needs reset"), health{Fault: "it needs a hard reset"}},
		"Gaudi in reset":              {NPUs, gaudi("In reset"), health{Unknown: "its driver resets it"}},
		"Gaudi after its last user":   {NPUs, gaudi("In reset after device release"), health{Unknown: "its driver resets it after its last user"}},
		"Gaudi in creation":           {NPUs, gaudi("In device creation"), health{Unknown: "its driver is starting it"}},
		"Gaudi in a state of its own": {NPUs, gaudi("Contemplating"), health{Unknown: `its driver says "Contemplating"`}},
		"Gaudi that does not tell":    {NPUs, gaudi(""), health{}},
		"Gaudi whose driver tells on the bus": {NPUs, onBus(address, "1da3", "1020", "habanalabs", map[string]string{
			"status": "Disabled", "accel/accel0/device": "->../../../" + address,
			"/class/accel/accel0": "->../../devices/pci0000:00/" + address + "/accel/accel0",
		}), health{Fault: "its driver has disabled it"}},
		"AIC100 at work":           {NPUs, aic("1"), health{}},
		"AIC100 restarts a part":   {NPUs, aic("3"), health{Unknown: "a part of it has crashed and is started again (dbc1_state)"}},
		"AIC100 with a part up":    {NPUs, aic("5"), health{}},
		"xe wedged":                {GPUs, xe("Survivability mode type: Runtime"), health{Fault: "its firmware failed while it ran and must be flashed (survivability mode)"}},
		"xe that does not say how": {GPUs, xe(""), health{Fault: "its firmware failed and must be flashed (survivability mode)"}},
		"a virtual function of one": {GPUs, onBus("0000:19:00.1", "8086", "e211", "xe", func() map[string]string {
			more := map[string]string{
				"physfn": "->../" + address, "drm/card1/device": "->../../../0000:19:00.1",
				"/class/drm/card1": "->../../devices/pci0000:00/0000:19:00.1/drm/card1",
			}
			for name, value := range onBus(address, "8086", "e211", "xe", map[string]string{"power/runtime_status": "error"}) {
				more["/"+name] = value
			}
			return more
		}()), health{Fault: "its physical function " + address + ": the kernel failed to power it up or down"}},
		"a device of a part of a PCI function": {NPUs, onBus(address, "8086", "7d1d", "intel_vpu", map[string]string{
			"power/runtime_status": "error", "vpu.accel.0/subsystem": "->../../../../bus/auxiliary",
			"vpu.accel.0/accel/accel0/device": "->../../../vpu.accel.0",
			"/class/accel/accel0":             "->../../devices/pci0000:00/" + address + "/vpu.accel.0/accel/accel0",
		}), health{Fault: "the kernel failed to power it up or down"}},
		"a driver off the PCI bus that failed to power it": {NPUs, map[string]string{
			"devices/platform/npu/subsystem": "->../../../bus/platform", "devices/platform/npu/power/runtime_status": "error",
			"devices/platform/npu/accel/accel0/device": "->../../../npu", "class/accel/accel0": "->../../devices/platform/npu/accel/accel0",
		}, health{Fault: "the kernel failed to power it up or down"}},
		"on the virtio bus, without a driver link": {NPUs, map[string]string{
			"devices/pci0000:00/0000:00:05.0/virtio2/subsystem": "->../../../../bus/virtio", "devices/pci0000:00/0000:00:05.0/virtio2/vendor": "0x1af4",
			"devices/pci0000:00/0000:00:05.0/virtio2/accel/accel0/device": "->../../../virtio2",
			"class/accel/accel0": "->../../devices/pci0000:00/0000:00:05.0/virtio2/accel/accel0",
		}, health{}},
		"a PCI function without a driver": {NPUs, onBus(address, "8086", "7d1d", "", map[string]string{
			"accel/accel0/device": "->../../../" + address, "/class/accel/accel0": "->../../devices/pci0000:00/" + address + "/accel/accel0",
		}), health{Fault: "no driver is bound to it"}},
		"set aside by another driver for it": {PCI, onBus(address, "1002", "74a1", "amdgpu-vfio-pci", nil), health{Fault: "it is set aside for a virtual machine"}},
	} {
		t.Run(name, func(t *testing.T) {
			found, err := tc.find(Mounts{Sys: tree(t, tc.files)})
			if err != nil || len(found) != 1 {
				t.Fatalf("found %+v, %v", found, err)
			}
			if diff := cmp.Diff(tc.want, health{found[0].Fault, found[0].Unknown}); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

// If an attribute of a device's health cannot be read, the health is unknown, and
// the failure is reported.
func TestWhatCannotBeReadIsUnknown(t *testing.T) {
	for name, path := range map[string]string{
		"status": "accel/accel0/status", "power": "power/runtime_status", "config": "config",
	} {
		t.Run(name, func(t *testing.T) {
			const dir = "devices/pci0000:00/0000:19:00.0/"
			root := tree(t, onBus("0000:19:00.0", "1da3", "1020", "habanalabs", map[string]string{
				"accel/accel0/device": "->../../../0000:19:00.0", "/class/accel/accel0": "->../../devices/pci0000:00/0000:19:00.0/accel/accel0",
			}))
			if err := os.MkdirAll(filepath.Join(root, dir, path), 0o755); err != nil { // reading a directory fails
				t.Fatal(err)
			}
			found, err := NPUs(Mounts{Sys: root})
			if err == nil || len(found) != 1 || found[0].Fault != "" || found[0].Unknown == "" {
				t.Errorf("found %+v, %v", found, err)
			}
		})
	}
}

// Off the PCI bus only a card with a GPU's driver and a render node is a GPU; a
// device without a link to its driver is recognized by its name.
func TestGPUsOfChips(t *testing.T) {
	board := func(driver, modalias string, render bool) map[string]string {
		out := map[string]string{
			"devices/platform/soc/x.gpu/uevent": "OF_NAME=gpu\nMODALIAS=" + modalias, "devices/platform/soc/x.gpu/subsystem": "->../../../../bus/platform",
			"devices/platform/soc/x.gpu/drm/card0/device": "->../../../x.gpu", "class/drm/card0": "->../../devices/platform/soc/x.gpu/drm/card0",
		}
		if driver != "" {
			out["devices/platform/soc/x.gpu/driver"] = "->../../../../bus/platform/drivers/" + driver
		}
		if render {
			out["devices/platform/soc/x.gpu/drm/renderD128/device"] = "->../../../x.gpu"
		}
		return out
	}
	for name, tc := range map[string]struct {
		files map[string]string
		want  int
	}{
		"v3d":                           {board("v3d", "", true), 1},
		"panfrost":                      {board("panfrost", "", true), 1},
		"lima":                          {board("lima", "", true), 1},
		"msm":                           {board("msm_dpu", "", true), 1},
		"etnaviv, without a link":       {board("", "platform:etnaviv", true), 1},
		"vc4, which is called gpu":      {board("vc4-drm", "", true), 0},
		"a display without rendering":   {board("rockchip-drm", "", false), 0},
		"omapdrm, a display with":       {board("omapdrm", "", true), 0},
		"vgem":                          {board("", "platform:vgem", true), 0},
		"panthor without a render node": {board("panthor", "", false), 0},
		"a part of an AMD card alone":   {board("", "platform:amdgpu_xcp_1", true), 0},
	} {
		t.Run(name, func(t *testing.T) {
			found, err := GPUs(Mounts{Sys: tree(t, tc.files)})
			if err != nil || len(found) != tc.want {
				t.Fatalf("found %+v, %v", found, err)
			}
			if tc.want == 1 && (!found[0].OnlyIfServed || found[0].ID != "x.gpu" || found[0].Fault != "") {
				t.Errorf("found %+v", found[0])
			}
		})
	}
}

// Without a topology the parts of a divided card belong to the only card.
func TestPartsWithoutTopology(t *testing.T) {
	files := onBus("0000:05:00.0", "1002", "74a1", "amdgpu", map[string]string{
		"drm/card0/device": "->../../../0000:05:00.0", "/class/drm/card0": "->../../devices/pci0000:00/0000:05:00.0/drm/card0",
		"/devices/platform/amdgpu_xcp_0/drm/card1/device":      "->../../../amdgpu_xcp_0",
		"/devices/platform/amdgpu_xcp_0/drm/renderD129/device": "->../../../amdgpu_xcp_0",
		"/class/drm/card1": "->../../devices/platform/amdgpu_xcp_0/drm/card1",
	})
	found, err := GPUs(Mounts{Sys: tree(t, files)})
	if err != nil || len(found) != 1 || !strings.Contains(strings.Join(found[0].Names, " "), "amdgpu_xcp_0") {
		t.Errorf("found %+v, %v", found, err)
	}
	for name, value := range onBus("0000:26:00.0", "1002", "74a1", "amdgpu", map[string]string{
		"drm/card9/device": "->../../../0000:26:00.0", "/class/drm/card9": "->../../devices/pci0000:00/0000:26:00.0/drm/card9",
	}) {
		files[name] = value
	}
	found, err = GPUs(Mounts{Sys: tree(t, files)})
	if err != nil || len(found) != 2 {
		t.Fatalf("found %+v, %v", found, err)
	}
	for _, d := range found {
		if strings.Contains(strings.Join(d.Names, " "), "amdgpu_xcp_0") {
			t.Errorf("of two cards %s is taken to be the one that is divided", d.ID)
		}
	}
}

// The vGPUs of a card are named by their UUIDs.
func TestMediatedDevices(t *testing.T) {
	const vgpu = "83b8f4f2-509f-382f-3c1e-e6bfe0fa1001"
	found, err := PCI(Mounts{Sys: tree(t, onBus("0000:3b:00.0", "10de", "1eb8", "nvidia", map[string]string{
		"class": "0x030200", "mdev_supported_types/nvidia-222/available_instances": "3", vgpu + "/mdev_type/name": "GRID T4-4Q",
	})), Proc: t.TempDir()})
	if err != nil || len(found) != 1 || !slices.Contains(found[0].Names, vgpu) {
		t.Errorf("found %+v, %v", found, err)
	}
}
