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

// hardware is what the directory of a device on its bus says of it.
type hardware struct {
	// dir is the directory itself, where no link leads elsewhere.
	dir                         string
	id, vendor, product, driver string
	numa                        *int
	// bus is what it is on: pci, platform, auxiliary; "" when no link tells.
	bus string
	// compatible is the device tree's first name for what it is, "" on others.
	compatible string
	// modalias is what the kernel looks for a driver by.
	modalias string
	// fault is why it cannot be used though its driver has it, "" if it can;
	// doubt why that is unknown.
	fault, doubt string
	// asleep tells that it is powered down, and would be woken by whoever
	// reads its registers.
	asleep bool
}

var pciAddress = regexp.MustCompile(`^[0-9a-f]{4,8}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]$`)

// readHardware reads a device's directory on its bus, such as
// /sys/class/drm/card0/device. A missing attribute leaves its field as it is.
// What else it knows is returned beside an error; the id is "" when it knows
// nothing.
func readHardware(link string) (hardware, error) {
	dir, err := filepath.EvalSymlinks(link)
	if err != nil {
		return hardware{}, fmt.Errorf("resolve %s: %w", link, err)
	}
	bus, errBus := readLink(dir, "subsystem")
	if behind[bus] {
		dir = cmp.Or(pciAncestor(dir), dir)
		bus, errBus = readLink(dir, "subsystem")
	}
	h := hardware{dir: dir, bus: bus}
	uevent, errUevent := readUevent(dir)
	h.driver, h.compatible, h.modalias = uevent["DRIVER"], uevent["OF_COMPATIBLE_0"], uevent["MODALIAS"]
	// A link leads to the directory named for the address; in a tree without
	// links it is called device.
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
		if _, err := os.Stat(dir); err != nil { // pulled out while it was read
			return hardware{}, fmt.Errorf("look at %s: %w", dir, err)
		}
	}
	h.numa, errs[3] = readNUMA(dir)
	errs[4] = h.readPower()
	errs[5] = h.readConfig()
	h.doubtful("its power state cannot be read", errs[4])
	h.doubtful("whether it answers on the PCI bus cannot be read", errs[5])
	errs[6], errs[7] = errUevent, errBus
	return h, errors.Join(errs[:]...)
}

// behind are the buses of what a driver makes of a part of a PCI function: the
// function is the device (Documentation/driver-api/auxiliary_bus.rst).
var behind = map[string]bool{"auxiliary": true, "mhi": true}

// pciAncestor is the PCI function that a device is behind, "" when there is
// none.
func pciAncestor(dir string) string {
	for at := filepath.Dir(dir); at != filepath.Dir(at); at = filepath.Dir(at) {
		if pciAddress.MatchString(filepath.Base(at)) {
			return at
		}
	}
	return ""
}

// onPCI tells whether it is a PCI function. Only there is a driver bound to the
// very device that a class shows: elsewhere the class may show a device that a
// driver made for itself, as that of the NPU of an RK3588 does for its three
// cores (drivers/accel/rocket/rocket_drv.c), to which none is bound.
func (h *hardware) onPCI() bool {
	if h.bus != "" {
		return h.bus == "pci"
	}
	return h.vendor != "" && !strings.HasPrefix(h.id, "virtio") || pciAddress.MatchString(h.id)
}

// readNUMA returns the NUMA node of a device, nil for one that the kernel puts
// on none; it writes that as -1 (Documentation/ABI/testing/sysfs-bus-pci).
func readNUMA(dir string) (*int, error) {
	number, known, err := readNumber(dir, "numa_node")
	if err != nil || !known || number < 0 || number > 1<<16 {
		return nil, err
	}
	node := int(number)
	return &node, nil
}

// deviceOf describes hardware. The name is that of its class: it stands in for
// an id where the bus gives none.
func deviceOf(kind accel.Kind, h hardware, names ...string) Device {
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
		Unknown:  h.doubt,
		Resource: resourceOfDriver[h.driver],
		Names:    namesOf(id, h.product, names),
	}
	d.checkDriver(h)
	return d
}

// namesOf lists the names by which a plugin may call a device: those given,
// and a PCI address also as names of Kubernetes objects need it, with dashes,
// alone and as Intel's DRA drivers put it before the PCI device
// ("0000-03-00-0-0x56a0").
func namesOf(id, product string, more []string) []string {
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
