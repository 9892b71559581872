package machine_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"heteroaccel.io/e2e/machine"
)

// write makes the machine's trees in a fresh directory.
func write(t *testing.T, m *machine.Machine) *machine.Machine {
	t.Helper()
	if err := m.Write(t.TempDir()); err != nil {
		t.Fatal(err)
	}
	return m
}

// read returns a file's content without the newline, following links; "" when
// it is not there.
func read(t *testing.T, parts ...string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(parts...))
	if os.IsNotExist(err) {
		return ""
	}
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSuffix(string(data), "\n")
}

func TestSysfs(t *testing.T) {
	for name, test := range map[string]struct {
		machine *machine.Machine
		want    map[string]string // path below sys → content
		driver  string            // path of a driver link → base name
		base    string
	}{
		"GPU": {machine.G(), map[string]string{
			"class/drm/card0/device/vendor":             "0x8086",
			"class/drm/card0/device/device":             "0x9a49",
			"class/drm/card0/device/numa_node":          "-1",
			"class/drm/renderD128/device/vendor":        "0x8086",
			"class/drm/version":                         "drm 1.1.0 20060810",
			"bus/pci/devices/0000:00:02.0/class":        "0x030000",
			"bus/pci/drivers/i915/0000:00:02.0/vendor":  "0x8086",
			"devices/pci0000:00/0000:00:02.0/numa_node": "-1",
		}, "class/drm/card0/device/driver", "i915"},
		"FPGA": {machine.F(), map[string]string{
			"class/fpga_region/region0/device/vendor":     "0x8086",
			"class/fpga_region/region0/device/device":     "0x09c4",
			"class/fpga_region/region0/device/numa_node":  "0",
			"class/fpga_region/region0/dfl-port.0/afu_id": "d8424dc4a4a3c413f89e433683f9040b",
			"bus/pci/devices/0000:80:00.0/class":          "0x120000",
		}, "class/fpga_region/region0/device/driver", "dfl-pci"},
		"stick": {machine.N(), map[string]string{
			"bus/usb/devices/1-1/idVendor":   "03e7",
			"bus/usb/devices/1-1/idProduct":  "2485",
			"bus/usb/devices/1-1/busnum":     "1",
			"bus/usb/devices/1-1/devnum":     "2",
			"bus/usb/devices/usb1/idVendor":  "1d6b",
			"bus/usb/devices/usb1/idProduct": "0002",
		}, "bus/usb/devices/1-1/driver", "usb"},
		"NPU": {machine.Shape{NPUs: 2}.Machine("x"), map[string]string{
			"class/accel/accel0/device/device": "0x643e",
			"class/accel/accel1/device/vendor": "0x8086",
		}, "class/accel/accel1/device/driver", "intel_vpu"},
	} {
		t.Run(name, func(t *testing.T) {
			m := write(t, test.machine)
			got := map[string]string{}
			for path := range test.want {
				got[path] = read(t, m.Sys(), path)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("files (-want +got):\n%s", diff)
			}
			target, err := os.Readlink(filepath.Join(m.Sys(), test.driver))
			if err != nil || filepath.Base(target) != test.base || filepath.IsAbs(target) {
				t.Errorf("%s leads to %q (%v), want a relative link to %s", test.driver, target, err, test.base)
			}
		})
	}
}

// TestNoLinkIsBroken holds for every machine at every time.
func TestNoLinkIsBroken(t *testing.T) {
	m := write(t, machine.Shape{GPUs: 2, NPUs: 1, FPGAs: 2, Sticks: 2}.Machine("x"))
	check := func(when string) {
		t.Helper()
		err := filepath.WalkDir(m.Sys(), func(path string, e fs.DirEntry, err error) error {
			if err != nil || e.Type()&fs.ModeSymlink == 0 {
				return err
			}
			if _, err := os.Stat(path); err != nil {
				t.Errorf("%s: %v", when, err)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	before := snapshot(t, m.Sys())
	check("at first")
	for _, d := range m.Devices {
		for _, step := range []struct {
			verb string
			do   func(string) error
		}{{"unbind", m.Unbind}, {"bind", m.Bind}, {"unplug", m.Unplug}, {"plug", m.Plug}} {
			if err := step.do(d.Name); err != nil {
				t.Fatal(err)
			}
			check(step.verb + " " + d.Name)
		}
	}
	if diff := cmp.Diff(before, snapshot(t, m.Sys())); diff != "" {
		t.Errorf("after bind and plug the tree is not what it was (-want +got):\n%s", diff)
	}
}

// snapshot lists every path below root with its content or link target.
func snapshot(t *testing.T, root string) map[string]string {
	t.Helper()
	files := map[string]string{}
	err := filepath.WalkDir(root, func(path string, e fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case e.Type()&fs.ModeSymlink != 0:
			files[path], err = os.Readlink(path)
		case e.Type().IsRegular():
			files[path] = read(t, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}
