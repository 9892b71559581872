package discovery

import (
	"errors"
	"path/filepath"
	"regexp"
)

// Present returns all names that the kernel has of the kinds that device plugins
// use most, accelerator or not: PCI addresses, cards, render nodes and accel
// devices. It is nil when they could not all be read: then no device is known to
// be gone.
func Present(m Mounts) (map[string]bool, error) {
	out := map[string]bool{}
	var errs []error
	for dir, names := range map[string]*regexp.Regexp{"bus/pci/devices": pciAddress, "class/drm": drmNode, "class/accel": accelDevice} {
		found, err := list(filepath.Join(m.Sys, dir), names)
		errs = append(errs, err)
		for _, name := range found {
			out[name] = true
		}
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return out, nil
}

var drmNode = regexp.MustCompile(`^(card|renderD)[0-9]+$`)
