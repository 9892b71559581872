package discovery

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"heteroaccel.io/pkg/accel"
)

// hardware is what the directory of a device on its bus says.
type hardware struct {
	// dir is the directory, with links resolved.
	dir                         string
	id, vendor, product, driver string
	numa                        *int
	// bus is pci, platform, auxiliary …; "" when there is no link to it.
	bus string
	// compatible is the first compatible string of the device tree, else "".
	compatible string
	// modalias is the string by which the kernel finds a driver.
	modalias string
	// fault is why it cannot be used although it has a driver, "" if it can;
	// unknown is why that is unknown.
	fault, unknown string
	// asleep is set when it is powered down: reading its registers would wake
	// it.
	asleep bool
}

var pciAddress = regexp.MustCompile(`^[0-9a-f]{4,8}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]$`)

// readHardware reads a device's directory on its bus, such as
// /sys/class/drm/card0/device. A missing attribute leaves its field empty. With
// an error it returns what it could read; the id is "" when that is nothing.
func readHardware(link string) (hardware, error) {
	dir, err := filepath.EvalSymlinks(link)
	if err != nil {
		return hardware{}, fmt.Errorf("resolve %s: %w", link, err)
	}
	bus, errBus := readLink(dir, "subsystem")
	if childBuses[bus] {
		dir = cmp.Or(pciAncestor(dir), dir)
		bus, errBus = readLink(dir, "subsystem")
	}
	h := hardware{dir: dir, bus: bus}
	uevent, errUevent := readUevent(dir)
	h.driver, h.compatible, h.modalias = uevent["DRIVER"], uevent["OF_COMPATIBLE_0"], uevent["MODALIAS"]
	// The directory that a link leads to is named after the address; in a tree
	// without links it is called device.
	switch base := filepath.Base(dir); {
	case pciAddress.MatchString(uevent["PCI_SLOT_NAME"]):
		h.id = uevent["PCI_SLOT_NAME"]
	case base != "device":
		h.id = base
	}
	var errs [8]error
	h.vendor, errs[0] = readAttribute(dir, "vendor")
	h.product, errs[1] = readAttribute(dir, "device")
	driver, err := readLink(dir, "driver")
	if errs[2] = err; driver != "" {
		h.driver = driver
	}
	if h.vendor == "" && errs[0] == nil {
		if _, err := os.Stat(dir); err != nil { // removed while it was read
			return hardware{}, fmt.Errorf("look at %s: %w", dir, err)
		}
	}
	h.numa, errs[3] = readNUMA(dir)
	errs[4] = h.readPower()
	errs[5] = h.readConfig()
	h.markUnknown("its power state cannot be read", errs[4])
	h.markUnknown("whether it answers on the PCI bus cannot be read", errs[5])
	errs[6], errs[7] = errUevent, errBus
	return h, errors.Join(errs[:]...)
}

// childBuses are buses of devices that a driver creates for parts of a PCI
// function: the function is the device (Documentation/driver-api/auxiliary_bus.rst).
var childBuses = map[string]bool{"auxiliary": true, "mhi": true}

// pciAncestor is the directory of the PCI function above a device, "" when
// there is none.
func pciAncestor(dir string) string {
	for at := filepath.Dir(dir); at != filepath.Dir(at); at = filepath.Dir(at) {
		if pciAddress.MatchString(filepath.Base(at)) {
			return at
		}
	}
	return ""
}

// onPCI reports whether it is a PCI function. Only there must the device in a
// class have a driver bound to it: elsewhere a driver may create the device
// itself, with no driver bound, as that of the RK3588's NPU does for its three
// cores (drivers/accel/rocket/rocket_drv.c).
func (h *hardware) onPCI() bool {
	if h.bus != "" {
		return h.bus == "pci"
	}
	return h.vendor != "" && !strings.HasPrefix(h.id, "virtio") || pciAddress.MatchString(h.id)
}

// readNUMA returns the NUMA node of a device, nil for none, which the kernel
// writes as -1 (Documentation/ABI/testing/sysfs-bus-pci).
func readNUMA(dir string) (*int, error) {
	number, known, err := readNumber(dir, "numa_node")
	if err != nil || !known || number < 0 || number > 1<<16 {
		return nil, err
	}
	node := int(number)
	return &node, nil
}

// newDevice describes hardware. names are those of its class; the first is the
// id where the bus gives none.
func newDevice(kind accel.Kind, h hardware, names ...string) Device {
	id := h.id
	if id == "" && len(names) > 0 {
		id = names[0]
	}
	d := Device{
		Kind:     kind,
		ID:       id,
		Vendor:   vendorName(h.vendor),
		Model:    cmp.Or(modelName(h.vendor, h.product), h.compatible),
		Driver:   h.driver,
		NUMA:     h.numa,
		Fault:    h.fault,
		Unknown:  h.unknown,
		Resource: resourceOfDriver[h.driver],
		Names:    pluginNames(id, h.product, names),
	}
	d.checkDriver(h)
	return d
}

// pluginNames lists the names that a plugin may have for a device: those given,
// and a PCI address also with dashes, as names of Kubernetes objects need it,
// alone and followed by the PCI device as Intel's DRA drivers write it
// ("0000-03-00-0-0x56a0").
func pluginNames(id, product string, more []string) []string {
	out := union([]string{id}, more)
	if pciAddress.MatchString(id) {
		dashed := dashes.Replace(id)
		out = append(out, dashed)
		if product != "" {
			out = append(out, dashed+"-"+product)
		}
	}
	return out
}

var dashes = strings.NewReplacer(":", "-", ".", "-")
