package discovery

import (
	"errors"
	"fmt"
	"path/filepath"
	"regexp"
)

// USBFile is the device file of a USB device, with its number.
type USBFile struct {
	Path         string
	Major, Minor int64
}

const (
	// usbMajor is that of USB device files (Documentation/admin-guide/devices.txt).
	usbMajor = 189
	// usbDevices is how many numbers a bus has: 1 to 127.
	usbDevices = 127
)

var usbPath = regexp.MustCompile(`^/dev/bus/usb/([0-9]{3})/([0-9]{3})$`)

// USBFiles returns the device files that the USB device with a file may have later: its
// own, and every free one of its bus. A stick gets another number when a program boots
// it, and a container that runs then gets no further file. The files of other devices
// are left out. It returns nil for the path of anything else.
func USBFiles(m Mounts, path string) ([]USBFile, error) {
	match := usbPath.FindStringSubmatch(path)
	if match == nil {
		return nil, nil
	}
	var bus, own int64
	if _, err := fmt.Sscanf(match[1]+" "+match[2], "%d %d", &bus, &own); err != nil || bus == 0 {
		return nil, fmt.Errorf("%s is not the file of a USB device", path)
	}
	taken, err := usbNumbers(m, bus)
	if err != nil {
		return nil, err
	}
	var out []USBFile
	for number := int64(1); number <= usbDevices; number++ {
		if number == own || !taken[number] {
			// drivers/usb/core: 128 minor numbers for each bus, from 0.
			out = append(out, USBFile{fmt.Sprintf("/dev/bus/usb/%03d/%03d", bus, number), usbMajor, (bus-1)*128 + number - 1})
		}
	}
	return out, nil
}

// anyUSBDevice matches devices and root hubs, and no interfaces.
var anyUSBDevice = regexp.MustCompile(`^(usb[0-9]+|[0-9]+-[0-9]+(\.[0-9]+)*)$`)

// usbNumbers are the numbers of a bus that devices have.
func usbNumbers(m Mounts, bus int64) (map[int64]bool, error) {
	dir := filepath.Join(m.Sys, "bus/usb/devices")
	names, err := list(dir, anyUSBDevice)
	errs := []error{err}
	out := map[int64]bool{1: true} // the root hub
	for _, name := range names {
		on, known, err := readNumber(filepath.Join(dir, name), "busnum")
		if err != nil && !isGone(err) {
			errs = append(errs, err)
		}
		if !known || on != bus {
			continue
		}
		number, known, err := readNumber(filepath.Join(dir, name), "devnum")
		if err != nil && !isGone(err) {
			errs = append(errs, err)
		}
		if known {
			out[number] = true
		}
	}
	return out, errors.Join(errs...)
}
