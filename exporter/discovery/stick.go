package discovery

import (
	"fmt"
	"path/filepath"
	"regexp"
	"strconv"
)

// usbDevice matches a device by its path of ports, and none of its interfaces
// (1-2:1.0) nor a root hub (usb1).
var usbDevice = regexp.MustCompile(`^[0-9]+-[0-9]+(\.[0-9]+)*$`)

// The Neural Compute Stick 2 by its USB ids: as it is put in, and once a
// program has booted it. The path of ports is the same, so the id stays.
const (
	movidiusVendor  = "03e7"
	stickUnbooted   = "2485"
	stickBooted     = "f63b"
	stickResource   = "vpu.intel.com/hddl"
	stickModel      = "Neural Compute Stick 2"
	movidiusCompany = "Intel"
)

// Sticks finds Neural Compute Sticks 2 through <sys>/bus/usb/devices. Programs
// drive the stick from user space, so that no driver of its own is expected;
// one that the administrator has not authorized is not usable.
func Sticks(sys string) ([]Device, error) {
	return each(filepath.Join(sys, "bus/usb/devices"), usbDevice, readStick)
}

func readStick(dir, name string) (*Device, error) {
	var values [5]string
	for i, attribute := range []string{"idVendor", "idProduct", "authorized", "busnum", "devnum"} {
		var err error
		if values[i], err = readAttribute(dir, attribute); err != nil {
			return nil, err
		}
	}
	vendor, product, authorized := values[0], values[1], values[2]
	if vendor != movidiusVendor || (product != stickUnbooted && product != stickBooted) {
		return nil, nil
	}
	h, err := readHardware(dir)
	if err != nil {
		return nil, err
	}
	d := Device{
		Kind: "NPU", ID: name,
		Vendor: movidiusCompany, Model: stickModel, Driver: h.driver,
		Usable:   authorized != "0",
		Resource: stickResource,
		Names:    namesOf(name, "usb-"+name),
	}
	bus, errBus := strconv.Atoi(values[3])
	number, errNumber := strconv.Atoi(values[4])
	if errBus == nil && errNumber == nil {
		d.Files = []string{fmt.Sprintf("/dev/bus/usb/%03d/%03d", bus, number)}
		d.Names = append(d.Names, d.Files[0])
	}
	return &d, nil
}
