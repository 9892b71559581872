package discovery

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"heteroaccel.io/exporter/testmachine"
)

// TestUSBFiles: a stick may have its own number and any that is free, never another
// device's.
func TestUSBFiles(t *testing.T) {
	sys, proc := testmachine.WriteText(t, `sys/bus/usb/devices
	usb1/busnum = 1
	usb1/devnum = 1
	1-1/busnum = 1
	1-1/devnum = 2
	1-2/busnum = 1
	1-2/devnum = 4
	1-2:1.0/bInterfaceNumber = 00
	2-1/busnum = 2
	2-1/devnum = 3
`)
	m := Mounts{Sys: sys, Proc: proc}
	for path, taken := range map[string]string{
		"/dev/bus/usb/001/004": "001 002",
		"/dev/bus/usb/002/003": "001",
	} {
		files, err := USBFiles(m, path)
		if err != nil {
			t.Fatal(err)
		}
		numbers, own := map[string]bool{}, false
		for _, f := range files {
			numbers[strings.TrimPrefix(f.Path, path[:len(path)-3])] = true
			own = own || f.Path == path
		}
		var missing []string
		for _, n := range []string{"001", "002", "003", "004", "005", "127"} {
			if !numbers[n] {
				missing = append(missing, n)
			}
		}
		if diff := cmp.Diff(taken, strings.Join(missing, " ")); !own || diff != "" {
			t.Errorf("%s: its own %v, left out (-want +got)\n%s", path, own, diff)
		}
	}
	files, err := USBFiles(m, "/dev/bus/usb/002/003")
	if err != nil || files[1] != (USBFile{"/dev/bus/usb/002/003", 189, 130}) {
		t.Errorf("%+v %v", files[:2], err)
	}
	if files, err := USBFiles(m, "/dev/dri/renderD128"); files != nil || err != nil {
		t.Errorf("of no USB device: %v %v", files, err)
	}
}

func TestReadProcessors(t *testing.T) {
	for name, tc := range map[string]struct{ cpuinfo, vendor, model string }{
		"Intel": {`processor\t: 0\nvendor_id\t: GenuineIntel\nmodel name\t: 11th Gen  Intel(R) Core(TM) i7\n`, "Intel", "11th Gen Intel(R) Core(TM) i7"},
		"none":  {``, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			_, proc := testmachine.WriteText(t, "proc\n\tcpuinfo = "+tc.cpuinfo+"\n")
			if vendor, model := ReadProcessors(proc); vendor != tc.vendor || model != tc.model {
				t.Errorf("%q %q, want %q %q", vendor, model, tc.vendor, tc.model)
			}
		})
	}
	if vendor, model := ReadProcessors(t.TempDir()); vendor+model != "" {
		t.Errorf("without cpuinfo: %q %q", vendor, model)
	}
}
