package discovery

import (
	"errors"
	"path/filepath"
	"regexp"
)

var accelDevice = regexp.MustCompile(`^accel[0-9]+$`)

// NPUs finds compute accelerators in <sys>/class/accel, the kernel's class for
// them since 6.2 (Documentation/accel/introduction.rst): the NPU of a Core Ultra
// and its like, on any bus. A device may have several cores.
func NPUs(m Mounts) ([]Device, error) {
	return readEach(filepath.Join(m.Sys, "class/accel"), accelDevice, readNPU)
}

func readNPU(dir, name string) (*Device, error) {
	h, err := readHardware(filepath.Join(dir, "device"))
	if h.dir == "" {
		return nil, err
	}
	errHealth := errors.Join(h.readDriverHealth(dir), h.inheritHealth())
	d := newDevice("NPU", h, name)
	errParts := addParts(&d, h)
	d.Files = []string{"/dev/accel/" + name}
	var errActivity error
	d.Activity, errActivity = activityOf(h, dir)
	return &d, errors.Join(err, errHealth, errParts, errActivity)
}
