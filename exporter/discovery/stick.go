package discovery

import (
	"errors"
	"fmt"
	"path/filepath"
	"regexp"
)

// usbDevice matches a device by its path of ports, and none of its interfaces
// (1-2:1.0) nor a root hub (usb1).
var usbDevice = regexp.MustCompile(`^[0-9]+-[0-9]+(\.[0-9]+)*$`)

// The USB ids of the Neural Compute Stick 2 before and after a program boots it.
// Its path of ports does not change, so neither does its id.
const (
	movidiusVendor  = "03e7"
	stickUnbooted   = "2485"
	stickBooted     = "f63b"
	stickResource   = "vpu.intel.com/hddl"
	stickModel      = "Neural Compute Stick 2"
	movidiusCompany = "Intel"
)

// Sticks finds Neural Compute Sticks 2 in <sys>/bus/usb/devices. Programs drive
// the stick from user space, so it needs no driver; one that the administrator
// has not authorized cannot be used (Documentation/usb/authorization.rst).
//
// A stick has the NUMA node of its USB controller.
func Sticks(m Mounts) ([]Device, error) {
	return readEach(filepath.Join(m.Sys, "bus/usb/devices"), usbDevice, readStick)
}

func readStick(dir, name string) (*Device, error) {
	// The vendor first: a machine has many other USB devices.
	vendor, err := readAttribute(dir, "idVendor")
	if err != nil || vendor != movidiusVendor {
		return nil, err
	}
	product, err := readAttribute(dir, "idProduct")
	if err != nil || product != stickUnbooted && product != stickBooted {
		return nil, err
	}
	h, err := readHardware(dir)
	if h.dir == "" {
		return nil, err
	}
	d := Device{
		Kind: "NPU", ID: name,
		Vendor: movidiusCompany, Model: stickModel, Driver: h.driver,
		Fault:    h.fault,
		Unknown:  h.unknown,
		Resource: stickResource,
		Names:    []string{name, "usb-" + name},
	}
	authorized, errAuthorized := readAttribute(dir, "authorized")
	if authorized == "0" {
		d.Fault = "the administrator has not authorized it"
	}
	numa, errNUMA := controllerNUMA(h.dir)
	d.NUMA = numa
	file, errFile := usbFile(dir)
	if file != "" {
		d.Files = []string{file}
		d.Names = append(d.Names, file)
	}
	return &d, errors.Join(err, errAuthorized, errNUMA, errFile)
}

// controllerNUMA is the NUMA node of a USB device's controller.
func controllerNUMA(dir string) (*int, error) {
	if at := pciAncestor(dir); at != "" {
		return readNUMA(at)
	}
	return nil, nil
}

// usbFile is the device file of a USB device, "" when its numbers are missing.
// The device number changes whenever the stick boots or is plugged in.
func usbFile(dir string) (string, error) {
	bus, known, errBus := readNumber(dir, "busnum")
	number, too, errNumber := readNumber(dir, "devnum")
	if !known || !too {
		return "", errors.Join(errBus, errNumber)
	}
	return fmt.Sprintf("/dev/bus/usb/%03d/%03d", bus, number), nil
}
