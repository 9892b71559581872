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

// FPGAs finds FPGA cards through <sys>/class/fpga_region (the kernel's DFL
// drivers) and <sys>/class/fpga (OPAE's older ones). A card has a region for
// itself and one for each of its ports; it is reported once.
func FPGAs(sys string) ([]Device, error) {
	regions, errRegions := each(filepath.Join(sys, "class/fpga_region"), fpgaRegion, readFPGA)
	older, errOlder := each(filepath.Join(sys, "class/fpga"), intelFPGA, readFPGA)
	return mergeByID(append(regions, older...)), errors.Join(errRegions, errOlder)
}

func readFPGA(dir, name string) (*Device, error) {
	bus, err := fpgaCard(dir)
	if err != nil {
		return nil, err
	}
	h, err := readHardware(bus)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	d := pciDevice(h, name)
	d.Kind = "FPGA"
	units, err := list(dir, fpgaUnit)
	if err != nil {
		return nil, err
	}
	d.Names = append(d.Names, units...)
	for _, unit := range units {
		if fpgaPort.MatchString(unit) {
			d.Files = append(d.Files, "/dev/"+unit)
		}
	}
	return &d, nil
}

// fpgaCard returns the directory of the PCI card that a region is part of.
// The region of a port hangs several devices below the card, so that the last
// PCI address on the region's own path is the card; where there is none, the
// region's device link is followed.
func fpgaCard(dir string) (string, error) {
	real, err := filepath.EvalSymlinks(dir)
	if err != nil {
		return "", fmt.Errorf("resolve %s: %w", dir, err)
	}
	for at := real; at != filepath.Dir(at); at = filepath.Dir(at) {
		if pciAddress.MatchString(filepath.Base(at)) {
			return at, nil
		}
	}
	device := filepath.Join(dir, "device")
	if _, err := os.Stat(device); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("look at %s: %w", device, err)
	}
	return device, nil
}
