package discovery

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
)

var (
	fpgaRegion = regexp.MustCompile(`^region[0-9]+$`)
	// intelFPGA is a card under the OPAE driver from before the kernel had
	// an FPGA class of its own.
	intelFPGA = regexp.MustCompile(`^intel-fpga-dev\.[0-9]+$`)
	// fpgaPort is the file through which a program uses the accelerated
	// function; fpgaUnit also the management engine, by which plugins name
	// regions.
	fpgaPort = regexp.MustCompile(`^(dfl|intel-fpga)-port\.[0-9]+$`)
	fpgaUnit = regexp.MustCompile(`^(dfl|intel-fpga)-(port|fme)\.[0-9]+$`)
)

// portDrivers are the drivers of cards that are used through ports.
var portDrivers = map[string]bool{"dfl-pci": true, "intel-fpga-pci": true}

// FPGAs finds FPGA cards through <sys>/class/fpga_region (the kernel's DFL
// drivers; Documentation/fpga/dfl.rst) and <sys>/class/fpga (OPAE's older
// ones). A card has a region for itself, one for what can be programmed into
// each of its ports, and one for each virtual function that a port was handed
// to; it is reported once.
func FPGAs(m Mounts) ([]Device, error) {
	regions, errRegions := each(filepath.Join(m.Sys, "class/fpga_region"), fpgaRegion, readFPGA)
	older, errOlder := each(filepath.Join(m.Sys, "class/fpga"), intelFPGA, readFPGA)
	cards := Merge(append(regions, older...))
	for i := range cards {
		if d := &cards[i]; d.Fault == "" && len(d.Files) == 0 && portDrivers[d.Driver] {
			d.Fault = "it has no port on this machine: all are set aside for virtual machines"
		}
	}
	return cards, errors.Join(errRegions, errOlder)
}

func readFPGA(dir, name string) (*Device, error) {
	bus, own, err := fpgaCard(dir)
	if err != nil {
		return nil, err
	}
	h, err := readHardware(bus)
	if errors.Is(err, fs.ErrNotExist) {
		err = nil // a region of something that is on no bus
	}
	d := deviceOf("FPGA", h, name)
	if own != "" {
		d.Names = append(d.Names, own)
	}
	units, errUnits := list(dir, fpgaUnit)
	d.Names = append(d.Names, units...)
	errs := []error{err, errUnits}
	for _, unit := range units {
		if fpgaPort.MatchString(unit) {
			d.Files = append(d.Files, "/dev/"+unit)
		}
		fault, err := fpgaFault(filepath.Join(dir, unit))
		errs = append(errs, err)
		if d.Fault == "" {
			d.Fault = fault
		}
	}
	return &d, errors.Join(errs...)
}

// fpgaCard returns the directory of the PCI card that a region is part of.
// The region of a port hangs several devices below the card, so that the last
// PCI address on the region's own path is the card; where there is none, the
// region's device link is followed. For the region of a virtual function it is
// the physical one, and own is the address of the virtual.
func fpgaCard(dir string) (card, own string, err error) {
	real, err := filepath.EvalSymlinks(dir)
	if err != nil {
		return "", "", fmt.Errorf("resolve %s: %w", dir, err)
	}
	for at := real; at != filepath.Dir(at); at = filepath.Dir(at) {
		if !pciAddress.MatchString(filepath.Base(at)) {
			continue
		}
		physical := filepath.Join(at, "physfn")
		if _, err := os.Stat(physical); err == nil {
			return physical, filepath.Base(at), nil
		}
		return at, "", nil
	}
	device := filepath.Join(dir, "device")
	if _, err := os.Stat(device); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", "", fmt.Errorf("look at %s: %w", device, err)
	}
	return device, "", nil
}
