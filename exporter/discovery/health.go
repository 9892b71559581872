package discovery

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// checkDriver finds the fault of a PCI function without a driver, or with one
// that only passes it to virtual machines.
func (d *Device) checkDriver(h hardware) {
	switch {
	case h.driver == "" && h.onPCI():
		d.Fault = "no driver is bound to it"
	case strings.Contains(h.driver, "vfio"), h.driver == "pci-stub":
		d.Passthrough = d.Fault == ""
		d.Fault = cmp.Or(d.Fault, "it is set aside for a virtual machine")
	}
}

// readPower reads whether the device is powered down, and whether the kernel
// failed to power it up or down: then its runtime status or its PCI power state
// is "error" (Documentation/ABI/testing/sysfs-devices-power and
// sysfs-bus-pci).
func (h *hardware) readPower() error {
	status, errStatus := readAttribute(h.dir, "power/runtime_status")
	state, errState := readAttribute(h.dir, "power_state")
	h.asleep = status == "suspended" || status == "suspending" || state == "D3cold"
	if status == "error" || state == "error" {
		h.fault = "the kernel failed to power it up or down"
	}
	return errors.Join(errStatus, errState)
}

// readConfig checks that the device still answers on the bus. A device that has
// fallen off it reads as all ones, and no vendor has the number 0xffff (PCI
// Local Bus Specification 3.0, 6.2.1). Anybody may read the first 64 bytes
// (Documentation/PCI/sysfs-pci.rst), but that wakes a device that is powered
// down.
func (h *hardware) readConfig() error {
	if h.asleep || !pciAddress.MatchString(h.id) {
		return nil
	}
	f, err := os.Open(filepath.Join(h.dir, "config"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read config of %s: %w", h.dir, err)
	}
	defer f.Close()
	var ids [4]byte
	switch _, err := io.ReadFull(f, ids[:]); {
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return fmt.Errorf("read config of %s: it has less than %d bytes", h.dir, len(ids))
	case err != nil:
		return fmt.Errorf("read config of %s: %w", h.dir, err)
	}
	if ids == [4]byte{0xff, 0xff, 0xff, 0xff} {
		h.fault = "it does not answer on the PCI bus any more"
	}
	return nil
}

// markUnknown records why it is unknown whether the device works, unless the
// device was removed meanwhile.
func (h *hardware) markUnknown(why string, err error) {
	if err != nil && !isGone(err) && h.unknown == "" {
		h.unknown = why
	}
}

// inheritHealth copies the fault of the physical function to a virtual one, which
// works no better.
func (h *hardware) inheritHealth() error {
	id, err := readLink(h.dir, "physfn")
	if err != nil || id == "" || h.fault != "" {
		return err
	}
	physical, err := readHardware(filepath.Join(h.dir, "physfn"))
	if isGone(err) {
		return nil
	}
	if physical.fault != "" {
		h.fault = "its physical function " + physical.id + ": " + physical.fault
	}
	h.unknown = cmp.Or(h.unknown, physical.unknown)
	return err
}
