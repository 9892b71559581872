package discovery

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// tree writes files and links below a new directory: a value that begins with
// "->" is the target of a link.
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

// What the machines of package testmachine do not have.
func TestDiscovery(t *testing.T) {
	for name, tc := range map[string]struct {
		find  func(Mounts) ([]Device, error)
		files map[string]string
		want  []Device
	}{
		"nothing": {GPUs, nil, nil},
		"a tree without links, known by its uevent": {GPUs, map[string]string{
			"class/drm/card1/device/vendor": "0x1002",
			"class/drm/card1/device/device": "0x7450",
			"class/drm/card1/device/uevent": "DRIVER=amdgpu\nPCI_SLOT_NAME=0000:03:00.0",
		}, []Device{{
			Kind: "GPU", ID: "0000:03:00.0", Vendor: "AMD", Model: "1002:7450", Driver: "amdgpu",
			Names: []string{"0000:03:00.0", "card1", "0000-03-00-0", "0000-03-00-0-0x7450"},
		}}},
		"no driver is bound": {GPUs, map[string]string{
			"class/drm/card0/device/vendor": "0x8086",
			"class/drm/card0/device/device": "0x9a49",
		}, []Device{{Kind: "GPU", ID: "card0", Vendor: "Intel", Model: "Iris Xe Graphics",
			Fault: "no driver is bound to it", Names: []string{"card0"}}}},
		"a virtual machine's screens": {GPUs, map[string]string{
			"class/drm/card0/device/vendor": "0x1af4",
			"class/drm/card1/device/vendor": "0x1234",
			"class/drm/card2/device/vendor": "0x1a03",
			"class/drm/card3/device/uevent": "DRIVER=simple-framebuffer",
			"class/drm/card4/device":        "->../../../devices/gone",
		}, nil},
		"an id that is none": {GPUs, map[string]string{
			"class/drm/card0/device/vendor": "0x8086",
			"class/drm/card0/device/uevent": "DRIVER=i915\nPCI_SLOT_NAME=\xff\xfe",
		}, []Device{{Kind: "GPU", ID: "card0", Vendor: "Intel", Driver: "i915", Resource: "gpu.intel.com/i915", Names: []string{"card0"}}}},
		"no stick, though one of its numbers": {Sticks, map[string]string{
			"bus/usb/devices/3-1/idVendor":       "046d",
			"bus/usb/devices/3-1/idProduct":      "2485",
			"bus/usb/devices/3-2/idVendor":       "03e7",
			"bus/usb/devices/3-2/idProduct":      "0001",
			"bus/usb/devices/2-1.4:1.0/idVendor": "03e7",
		}, nil},
		"a region without a card": {FPGAs, map[string]string{"class/fpga_region/region0/device/driver": "->x/socfpga"},
			[]Device{{Kind: "FPGA", ID: "region0", Driver: "socfpga", Names: []string{"region0"}}}},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := tc.find(Mounts{Sys: tree(t, tc.files)})
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

// A class that cannot be read is an error, one that does not exist is not, and a
// broken device does not hide another.
func TestBrokenIsNotAbsent(t *testing.T) {
	for name, tc := range map[string]struct {
		find  func(Mounts) ([]Device, error)
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
			got, err := tc.find(Mounts{Sys: tree(t, tc.files)})
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
