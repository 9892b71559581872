package discovery

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// tree writes files and links below a new directory: a value that begins with
// "->" is a link's target.
func tree(t *testing.T, files map[string]string) string {
	t.Helper()
	root := t.TempDir()
	for name, value := range files {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		var err error
		if target, link := strings.CutPrefix(value, "->"); link {
			err = os.Symlink(target, path)
		} else {
			err = os.WriteFile(path, []byte(value+"\n"), 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return root
}

// xe is a GPU as the kernel lays it out: the class holds links only.
var xe = map[string]string{
	"class/drm/version":                                              "drm 1.1.0 20060810",
	"class/drm/card0":                                                "->../../devices/pci0000:00/0000:00:02.0/drm/card0",
	"class/drm/card0-HDMI-A-1":                                       "->../../devices/pci0000:00/0000:00:02.0/drm/card0/card0-HDMI-A-1",
	"class/drm/renderD128":                                           "->../../devices/pci0000:00/0000:00:02.0/drm/renderD128",
	"devices/pci0000:00/0000:00:02.0/vendor":                         "0x8086",
	"devices/pci0000:00/0000:00:02.0/device":                         "0x9a49",
	"devices/pci0000:00/0000:00:02.0/driver":                         "->../../../bus/pci/drivers/i915",
	"devices/pci0000:00/0000:00:02.0/drm/card0/device":               "->../../../0000:00:02.0",
	"devices/pci0000:00/0000:00:02.0/drm/card0/card0-HDMI-A-1/state": "connected",
	"devices/pci0000:00/0000:00:02.0/drm/renderD128/dev":             "226:128",
}

func TestDiscovery(t *testing.T) {
	for name, tc := range map[string]struct {
		find  func(string) ([]Device, error)
		files map[string]string
		want  []Device
	}{
		"nothing": {GPUs, nil, nil},
		"an Iris Xe, and not its connector": {GPUs, xe, []Device{{
			Kind: "GPU", ID: "0000:00:02.0", Vendor: "Intel", Model: "Iris Xe Graphics", Driver: "i915", Usable: true,
			Resource: "gpu.intel.com/i915",
			Names:    []string{"0000:00:02.0", "card0", "0000-00-02-0", "renderD128"},
			Files:    []string{"/dev/dri/renderD128"},
		}}},
		"a tree without links, known by its uevent": {GPUs, map[string]string{
			"class/drm/card1/device/vendor": "0x1002",
			"class/drm/card1/device/device": "0x744c",
			"class/drm/card1/device/uevent": "DRIVER=amdgpu\nPCI_SLOT_NAME=0000:03:00.0",
		}, []Device{{
			Kind: "GPU", ID: "0000:03:00.0", Vendor: "AMD", Model: "1002:744c", Driver: "amdgpu", Usable: true,
			Names: []string{"0000:03:00.0", "card1", "0000-03-00-0"},
		}}},
		"no driver is bound": {GPUs, map[string]string{
			"class/drm/card0/device/vendor": "0x8086",
			"class/drm/card0/device/device": "0x9a49",
		}, []Device{{Kind: "GPU", ID: "card0", Vendor: "Intel", Model: "Iris Xe Graphics", Names: []string{"card0"}}}},
		"a virtual machine's screens": {GPUs, map[string]string{
			"class/drm/card0/device/vendor": "0x1af4",
			"class/drm/card1/device/vendor": "0x1234",
			"class/drm/card2/device/vendor": "0x1a03",
			"class/drm/card3/device/uevent": "DRIVER=simple-framebuffer",
			"class/drm/card4/device":        "->../../../devices/gone",
		}, nil},
		"the NPU of a Core Ultra": {NPUs, map[string]string{
			"class/accel/accel0": "->../../devices/pci0000:00/0000:00:0b.0/accel/accel0",
			"devices/pci0000:00/0000:00:0b.0/accel/accel0/dev":    "261:0",
			"devices/pci0000:00/0000:00:0b.0/accel/accel0/device": "->../../../0000:00:0b.0",
			"devices/pci0000:00/0000:00:0b.0/vendor":              "0x8086",
			"devices/pci0000:00/0000:00:0b.0/device":              "0x7d1d",
			"devices/pci0000:00/0000:00:0b.0/driver":              "->../../../bus/pci/drivers/intel_vpu",
		}, []Device{{
			Kind: "NPU", ID: "0000:00:0b.0", Vendor: "Intel", Model: "NPU of Meteor Lake", Driver: "intel_vpu", Usable: true,
			Resource: "npu.intel.com/accel",
			Names:    []string{"0000:00:0b.0", "accel0", "0000-00-0b-0"}, Files: []string{"/dev/accel/accel0"},
		}}},
		"sticks, unbooted, booted and not authorized": {Sticks, map[string]string{
			"bus/usb/devices/1-2":                                "->../../../devices/pci0000:00/0000:00:14.0/usb1/1-2",
			"devices/pci0000:00/0000:00:14.0/usb1/1-2/idVendor":  "03e7",
			"devices/pci0000:00/0000:00:14.0/usb1/1-2/idProduct": "2485",
			"devices/pci0000:00/0000:00:14.0/usb1/1-2/busnum":    "1",
			"devices/pci0000:00/0000:00:14.0/usb1/1-2/devnum":    "4",
			"devices/pci0000:00/0000:00:14.0/usb1/1-2/driver":    "->../../../../../bus/usb/drivers/usb",
			"bus/usb/devices/2-1.4/idVendor":                     "03e7",
			"bus/usb/devices/2-1.4/idProduct":                    "f63b",
			"bus/usb/devices/2-1.4/authorized":                   "0",
			"bus/usb/devices/2-1.4:1.0/idVendor":                 "03e7",
			"bus/usb/devices/usb1/idVendor":                      "1d6b",
			"bus/usb/devices/3-1/idVendor":                       "046d",
			"bus/usb/devices/3-1/idProduct":                      "2485",
		}, []Device{
			{Kind: "NPU", ID: "1-2", Vendor: "Intel", Model: "Neural Compute Stick 2", Driver: "usb", Usable: true, Resource: "vpu.intel.com/hddl",
				Names: []string{"1-2", "usb-1-2", "/dev/bus/usb/001/004"}, Files: []string{"/dev/bus/usb/001/004"}},
			{Kind: "NPU", ID: "2-1.4", Vendor: "Intel", Model: "Neural Compute Stick 2", Resource: "vpu.intel.com/hddl",
				Names: []string{"2-1.4", "usb-2-1.4"}},
		}},
		"an Arria 10 under DFL, with the region of a port": {FPGAs, map[string]string{
			"class/fpga_region/region0":                                                                                              "->../../devices/pci0000:3a/0000:3a:00.0/0000:3b:00.0/fpga_region/region0",
			"class/fpga_region/region1":                                                                                              "->../../devices/pci0000:3a/0000:3a:00.0/0000:3b:00.0/fpga_region/region0/dfl-fme.0/dfl-fme-region.1/fpga_region/region1",
			"devices/pci0000:3a/0000:3a:00.0/0000:3b:00.0/vendor":                                                                    "0x8086",
			"devices/pci0000:3a/0000:3a:00.0/0000:3b:00.0/device":                                                                    "0x09c4",
			"devices/pci0000:3a/0000:3a:00.0/0000:3b:00.0/driver":                                                                    "->../../../../bus/pci/drivers/dfl-pci",
			"devices/pci0000:3a/0000:3a:00.0/0000:3b:00.0/fpga_region/region0/device":                                                "->../../../0000:3b:00.0",
			"devices/pci0000:3a/0000:3a:00.0/0000:3b:00.0/fpga_region/region0/dfl-port.0/uevent":                                     "",
			"devices/pci0000:3a/0000:3a:00.0/0000:3b:00.0/fpga_region/region0/dfl-fme.0/dfl-fme-region.1/fpga_region/region1/device": "->../../../dfl-fme-region.1",
		}, []Device{{
			Kind: "FPGA", ID: "0000:3b:00.0", Vendor: "Intel", Model: "Arria 10 GX", Driver: "dfl-pci", Usable: true,
			Names: []string{"0000:3b:00.0", "region0", "0000-3b-00-0", "dfl-fme.0", "dfl-port.0", "region1"},
			Files: []string{"/dev/dfl-port.0"},
		}}},
		"an Arria 10 under OPAE's older driver": {FPGAs, map[string]string{
			"class/fpga/intel-fpga-dev.0":                                                 "->../../devices/pci0000:5e/0000:5e:00.0/fpga/intel-fpga-dev.0",
			"devices/pci0000:5e/0000:5e:00.0/vendor":                                      "0x8086",
			"devices/pci0000:5e/0000:5e:00.0/device":                                      "0x09c4",
			"devices/pci0000:5e/0000:5e:00.0/driver":                                      "->../../../bus/pci/drivers/intel-fpga-pci",
			"devices/pci0000:5e/0000:5e:00.0/fpga/intel-fpga-dev.0/intel-fpga-fme.0/dev":  "",
			"devices/pci0000:5e/0000:5e:00.0/fpga/intel-fpga-dev.0/intel-fpga-port.0/dev": "",
		}, []Device{{
			Kind: "FPGA", ID: "0000:5e:00.0", Vendor: "Intel", Model: "Arria 10 GX", Driver: "intel-fpga-pci", Usable: true,
			Names: []string{"0000:5e:00.0", "intel-fpga-dev.0", "0000-5e-00-0", "intel-fpga-fme.0", "intel-fpga-port.0"},
			Files: []string{"/dev/intel-fpga-port.0"},
		}}},
		"a region without a card": {FPGAs, map[string]string{"class/fpga_region/region0/device/driver": "->x/socfpga"},
			[]Device{{Kind: "FPGA", ID: "region0", Driver: "socfpga", Usable: true, Names: []string{"region0"}}}},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := tc.find(tree(t, tc.files))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

// A class that cannot be read is an error, unlike one that is not there, and a
// broken device does not hide the one beside it.
func TestBrokenIsNotAbsent(t *testing.T) {
	for name, tc := range map[string]struct {
		find  func(string) ([]Device, error)
		files map[string]string
		want  int
	}{
		"class that is a file": {GPUs, map[string]string{"class/drm": ""}, 0},
		"bus that is a file":   {Sticks, map[string]string{"bus/usb/devices": ""}, 0},
		"unreadable vendor": {GPUs, map[string]string{
			"class/drm/card0/device/vendor/not-a-file": "",
			"class/drm/card1/device/vendor":            "0x8086",
		}, 1},
		"both FPGA classes broken": {FPGAs, map[string]string{"class/fpga": "", "class/fpga_region": ""}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := tc.find(tree(t, tc.files))
			if err == nil || len(got) != tc.want {
				t.Errorf("got %v, %v; want an error and %d devices", got, err, tc.want)
			}
		})
	}
}

const stat = `cpu  100 0 100 700 100 0 0 0 0 0
cpu0 50 0 50 350 50 0 0 0 0 0
cpu1 50 0 50 350 50 0 0 0 0 0
ctxt 1
btime 1700000000
processes 1
procs_running 1
procs_blocked 0`

func TestReadCPU(t *testing.T) {
	for name, tc := range map[string]struct {
		files map[string]string
		want  CPU
	}{
		"stat and loadavg":  {map[string]string{"stat": stat, "loadavg": "0.50 0.40 0.30 1/100 1234"}, CPU{2, 2, 10, 0.5}},
		"no loadavg":        {map[string]string{"stat": stat}, CPU{2, 2, 10, -1}},
		"load beyond cores": {map[string]string{"stat": stat, "loadavg": "9 9 9 1/1 1"}, CPU{2, 2, 10, 2}},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := ReadCPU(tree(t, tc.files))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
	for name, files := range map[string]map[string]string{
		"nothing":        nil,
		"garbage":        {"stat": "cpu x y z"},
		"broken loadavg": {"stat": stat, "loadavg": "high"},
	} {
		t.Run(name, func(t *testing.T) {
			if got, err := ReadCPU(tree(t, files)); err == nil {
				t.Errorf("got %+v, want an error", got)
			}
		})
	}
}
