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

// checkDriver finds a PCI function unusable that has no driver, or one that only
// hands it to virtual machines.
func (d *Device) checkDriver(h hardware) {
	switch {
	case h.driver == "" && h.onPCI():
		d.Fault = "no driver is bound to it"
	case strings.Contains(h.driver, "vfio"), h.driver == "pci-stub":
		d.Passthrough = d.Fault == ""
		d.Fault = cmp.Or(d.Fault, "it is set aside for a virtual machine")
	}
}

// readPower learns whether the device sleeps, and whether the kernel failed to
// put it to sleep or to wake it: then its runtime status or its PCI power
// state is "error" (Documentation/ABI/testing/sysfs-devices-power and
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

// readConfig looks whether the device still answers on the bus. What has
// fallen off it reads as ones only, and no vendor has the number 0xffff (PCI
// Local Bus Specification 3.0, 6.2.1). The first 64 bytes are anybody's to
// read (Documentation/PCI/sysfs-pci.rst); reading them would wake a device
// that sleeps.
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

// doubtful notes why it is unknown whether the device works. What was pulled
// out meanwhile is not there to be doubted.
func (h *hardware) doubtful(why string, err error) {
	if err != nil && !gone(err) && h.doubt == "" {
		h.doubt = why
	}
}

// inherit takes over what is wrong with the physical function that a virtual
// one is a part of: it works no better than that.
func (h *hardware) inherit() error {
	id, err := readLink(h.dir, "physfn")
	if err != nil || id == "" || h.fault != "" {
		return err
	}
	physical, err := readHardware(filepath.Join(h.dir, "physfn"))
	if gone(err) {
		return nil
	}
	if physical.fault != "" {
		h.fault = "its physical function " + physical.id + ": " + physical.fault
	}
	h.doubt = cmp.Or(h.doubt, physical.doubt)
	return err
}
