package discovery

import (
	"errors"
	"path/filepath"
	"regexp"
	"strings"

	"heteroaccel.io/pkg/accel"
)

// PCI finds accelerators in <sys>/bus/pci/devices, whether or not they are in a
// class: those without a driver, those set aside for a virtual machine, and
// NVIDIA's, whose driver has no class. It recognizes them by their PCI class (a
// display controller of a vendor whose graphics compute) or their numbers. It
// leaves virtual functions to the classes.
func PCI(m Mounts) ([]Device, error) {
	return readEach(filepath.Join(m.Sys, "bus/pci/devices"), pciAddress, func(dir, name string) (*Device, error) {
		return readPCI(m, dir, name)
	})
}

// Base classes of PCI functions (PCI Code and ID Assignment Specification).
const (
	displayController     = "0x03"
	processingAccelerator = "0x12"
)

func readPCI(m Mounts, dir, name string) (*Device, error) {
	// There may be hundreds of functions: most are skipped after one small read.
	class, err := readAttribute(dir, "class")
	if err != nil {
		return nil, err
	}
	display := strings.HasPrefix(class, displayController)
	if !display && !strings.HasPrefix(class, processingAccelerator) {
		return nil, nil
	}
	if physical, err := readLink(dir, "physfn"); err != nil || physical != "" {
		return nil, err
	}
	h, err := readHardware(dir)
	kind := acceleratorKinds[h.vendor+" "+h.product]
	if display && gpuVendors[h.vendor] && canCompute(h) {
		kind = "GPU"
	}
	if !display && h.vendor == amd {
		kind = "GPU" // an Instinct
	}
	if h.id == "" || kind == "" {
		return nil, err
	}
	errHealth := h.readDriverHealth("")
	d := newDevice(kind, h)
	errParts := addParts(&d, h)
	err = errors.Join(err, errHealth, errParts)
	if h.driver == nvidia {
		return &d, errors.Join(err, describeNVIDIA(m, &d))
	}
	if d.Fault == "" && !hasClass(h.dir) {
		d.Fault = "its driver " + h.driver + " offers no way to use it"
	}
	return &d, err
}

const amd = "0x1002"

// gpuVendors are the vendors whose display controllers compute.
var gpuVendors = map[string]bool{amd: true, "0x10de": true, "0x8086": true}

// hasClass reports whether a device is in one of the classes. It says yes where
// that cannot be read, and leaves the device to the class.
func hasClass(dir string) bool {
	for class, name := range classes {
		names, err := list(filepath.Join(dir, class), name)
		if err != nil || len(names) > 0 {
			return true
		}
	}
	return false
}

// classes are those of accelerators, with the names of devices in each.
var classes = map[string]*regexp.Regexp{"drm": card, "accel": accelDevice, "fpga_region": fpgaRegion, "fpga": intelFPGA}

// acceleratorKinds are the kinds of processing accelerators, by PCI vendor and
// device.
var acceleratorKinds = map[string]accel.Kind{
	"0x17cb 0xa080": "NPU",
	"0x17cb 0xa100": "NPU",
	"0x1da3 0x0001": "NPU",
	"0x1da3 0x1000": "NPU",
	"0x1da3 0x1010": "NPU",
	"0x1da3 0x1020": "NPU",
	"0x1022 0x1502": "NPU",
	"0x1022 0x17f0": "NPU",
	"0x8086 0x09c4": "FPGA",
	"0x8086 0x0b2b": "FPGA",
	"0x8086 0x643e": "NPU",
	"0x8086 0x7d1d": "NPU",
	"0x8086 0xad1d": "NPU",
	"0x8086 0xb03e": "NPU",
}
