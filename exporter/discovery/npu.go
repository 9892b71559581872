package discovery

import (
	"path/filepath"
	"regexp"
)

var accelDevice = regexp.MustCompile(`^accel[0-9]+$`)

// NPUs finds compute accelerators through <sys>/class/accel, the kernel's
// class for them since 6.2: the NPU of a Core Ultra, and its like.
func NPUs(sys string) ([]Device, error) {
	return each(filepath.Join(sys, "class/accel"), accelDevice, readNPU)
}

func readNPU(dir, name string) (*Device, error) {
	h, err := readHardware(filepath.Join(dir, "device"))
	if err != nil {
		return nil, err
	}
	d := pciDevice(h, name)
	d.Kind = "NPU"
	d.Files = []string{"/dev/accel/" + name}
	return &d, nil
}
