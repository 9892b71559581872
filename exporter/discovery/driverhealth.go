package discovery

import (
	"cmp"
	"errors"
	"fmt"
	"path/filepath"
	"regexp"
	"strings"
)

// readDriverHealth reads what the driver reports of a device's health. class is
// the device's directory in its class, "" when it is in none.
//
// Drivers report little that anybody may read. That a GPU is wedged is an event
// for those who listen at that moment (Documentation/gpu/drm-uapi.rst, "Device
// Wedging"), and a file in debugfs for i915 and xe; an XID of nvidia's is in the
// kernel's log; ivpu and amdgpu count resets or memory errors, which do not say
// whether the device works now. None of these is read, and a device is not
// unhealthy because something is unknown. Thermal throttling is no failure.
func (h *hardware) readDriverHealth(class string) error {
	switch h.driver {
	case "xe":
		return h.readSurvivability()
	case "habanalabs":
		return h.readHabana(class)
	case "qaic":
		return h.readBridges(class)
	}
	return nil
}

// readSurvivability looks for the attribute that xe creates when firmware has
// failed: at boot, when there is no card, or at run time, when the card remains
// and is wedged until its firmware is flashed (drivers/gpu/drm/xe/
// xe_survivability_mode.c, "Survivability Mode"). Only root may read it; that it
// exists says enough.
func (h *hardware) readSurvivability() error {
	names, err := list(h.dir, survivability)
	if err != nil || len(names) == 0 {
		return err
	}
	text, err := readAttribute(h.dir, names[0])
	switch {
	case isGone(err):
		return nil
	case strings.Contains(text, "Boot"):
		h.fault = "its driver xe offers no way to use it: its firmware failed at boot and must be flashed (survivability mode)"
	case strings.Contains(text, "Runtime"):
		h.fault = "its firmware failed while it ran and must be flashed (survivability mode)"
	default:
		h.fault = "its firmware failed and must be flashed (survivability mode)"
	}
	return nil
}

var survivability = regexp.MustCompile(`^survivability_mode$`)

// habanaStates are the values of habanalabs' status attribute
// (Documentation/ABI/testing/sysfs-driver-habanalabs, HL_DEVICE_STATUS_* in
// drivers/accel/habanalabs/common). A device in reset, as each is after a program
// has used it, will soon work again, or fail.
var habanaStates = map[string]struct{ fault, unknown string }{
	"operational":                   {},
	"disabled":                      {fault: "its driver has disabled it"},
	"malfunction":                   {fault: "its driver calls it malfunctioning"},
	"needs reset":                   {fault: "it needs a hard reset"},
	"in reset":                      {unknown: "its driver resets it"},
	"in device creation":            {unknown: "its driver is starting it"},
	"in reset after device release": {unknown: "its driver resets it after its last user"},
}

// readHabana reads the status of a Gaudi, which is in the device's class, or,
// with older drivers, in its directory on the bus.
func (h *hardware) readHabana(class string) error {
	if class == "" {
		return nil
	}
	status, err := readAttribute(class, "status")
	if status == "" && err == nil {
		status, err = readAttribute(h.dir, "status")
	}
	switch state, known := habanaStates[strings.ToLower(status)]; {
	case err != nil:
		h.markUnknown("its status cannot be read", err)
	case status == "": // this driver has no status
	case !known:
		h.unknown = fmt.Sprintf("its driver says %.40q", status)
	default:
		h.fault, h.unknown = cmp.Or(h.fault, state.fault), cmp.Or(h.unknown, state.unknown)
	}
	return err
}

// readBridges reads the state of each of a card's DMA bridge channels
// (Documentation/ABI/stable/sysfs-driver-qaic): 2 to 4 mean that a part has
// crashed and restarts, while others may work.
func (h *hardware) readBridges(class string) error {
	if class == "" {
		return nil
	}
	names, err := list(class, bridgeState)
	errs := []error{err}
	for _, name := range names {
		state, _, err := readNumber(class, name)
		if errs = append(errs, err); err == nil && state >= 2 && state <= 4 {
			h.unknown = "a part of it has crashed and is started again (" + name + ")"
		}
	}
	return errors.Join(errs...)
}

var bridgeState = regexp.MustCompile(`^dbc[0-9]+_state$`)

// fpgaFault returns the fault that a management engine or a port reports:
// catastrophic or fatal errors, or power state AP6, in which the accelerated
// function is powered off (Documentation/ABI/testing/sysfs-platform-dfl-fme and
// -port). Other errors may be a program's own, and stay until somebody clears
// them.
func fpgaFault(unit string) (string, error) {
	fatal, _, errFatal := readNumber(unit, "errors/catfatal_errors")
	power, _, errPower := readNumber(unit, "power_state")
	err := errors.Join(errFatal, errPower)
	switch {
	case fatal != 0:
		return fmt.Sprintf("%s has had fatal errors: %#x", filepath.Base(unit), fatal), err
	case power == 6:
		return filepath.Base(unit) + " is powered off, in state AP6", err
	}
	return "", err
}
