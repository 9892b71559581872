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
	// intelFPGA is a card of the OPAE driver that is older than the kernel's
	// own FPGA class.
	intelFPGA = regexp.MustCompile(`^intel-fpga-dev\.[0-9]+$`)
	// fpgaPort is the file through which a program uses the accelerated
	// function; fpgaUnit also matches the management engine, after which
	// plugins name regions.
	fpgaPort = regexp.MustCompile(`^(dfl|intel-fpga)-port\.[0-9]+$`)
	fpgaUnit = regexp.MustCompile(`^(dfl|intel-fpga)-(port|fme)\.[0-9]+$`)
)

// portDrivers are the drivers of cards that are used through ports.
var portDrivers = map[string]bool{"dfl-pci": true, "intel-fpga-pci": true}

// FPGAs finds FPGA cards in <sys>/class/fpga_region (the kernel's DFL drivers;
// Documentation/fpga/dfl.rst) and <sys>/class/fpga (OPAE's older ones). A card
// has a region of its own, one for each port that can be programmed, and one for
// each virtual function that has a port; it is reported once.
func FPGAs(m Mounts) ([]Device, error) {
	regions, errRegions := readEach(filepath.Join(m.Sys, "class/fpga_region"), fpgaRegion, readFPGA)
	older, errOlder := readEach(filepath.Join(m.Sys, "class/fpga"), intelFPGA, readFPGA)
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
		err = nil // a region that is on no bus
	}
	d := newDevice("FPGA", h, name)
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

// fpgaCard returns the directory of the PCI card that a region is part of. The
// region of a port is several devices below the card: the last PCI address on
// its path is the card. Where there is none, it is the region's device link. For
// the region of a virtual function it is the physical one, and own is the
// address of the virtual one.
func fpgaCard(dir string) (card, own string, err error) {
	resolved, err := filepath.EvalSymlinks(dir)
	if err != nil {
		return "", "", fmt.Errorf("resolve %s: %w", dir, err)
	}
	for at := resolved; at != filepath.Dir(at); at = filepath.Dir(at) {
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
