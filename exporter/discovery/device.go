package discovery

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"

	"heteroaccel.io/pkg/accel"
)

// Device is an accelerator found in sysfs.
type Device struct {
	// Kind is what sort of accelerator it is.
	Kind accel.Kind
	// ID is its PCI address ("0000:00:02.0") or its USB path ("1-2.1").
	ID string
	// Vendor and Model describe it in words, Driver is the kernel's; any may
	// be "".
	Vendor, Model, Driver string
	// Usable is false when the kernel cannot use it: no driver is bound, or
	// the USB device is not authorized.
	Usable bool
	// Resource is the extended resource under which the device plugin of its
	// driver serves it, as a rule; "" where no rule is known.
	Resource string
	// Names are the names by which a device plugin may call it, ID included.
	Names []string
	// Files are the device files through which a program computes on it.
	Files []string
}

// hardware is what the directory of a device on its bus says of it.
type hardware struct {
	id, vendor, product, driver string
}

var pciAddress = regexp.MustCompile(`^[0-9a-f]{4,8}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]$`)

// readHardware reads a device's directory on its bus, such as
// /sys/class/drm/card0/device. A missing attribute leaves its field "".
func readHardware(dir string) (hardware, error) {
	uevent, err := readUevent(dir)
	if err != nil {
		return hardware{}, err
	}
	h := hardware{id: uevent["PCI_SLOT_NAME"], driver: uevent["DRIVER"]}
	real, err := filepath.EvalSymlinks(dir)
	if err != nil {
		return hardware{}, fmt.Errorf("resolve %s: %w", dir, err)
	}
	// A link leads to the directory named for the address; in a tree without
	// links it is called device.
	if base := filepath.Base(real); h.id == "" && base != "device" {
		h.id = base
	}
	if h.vendor, err = readAttribute(dir, "vendor"); err != nil {
		return hardware{}, err
	}
	if h.product, err = readAttribute(dir, "device"); err != nil {
		return hardware{}, err
	}
	driver, err := os.Readlink(filepath.Join(dir, "driver"))
	switch {
	case err == nil:
		h.driver = filepath.Base(driver)
	case !errors.Is(err, fs.ErrNotExist):
		return hardware{}, fmt.Errorf("read driver of %s: %w", dir, err)
	}
	return h, nil
}

// readAttribute reads a sysfs attribute; one that is missing is "".
func readAttribute(dir, name string) (string, error) {
	b, err := os.ReadFile(filepath.Join(dir, name))
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("read %s of %s: %w", name, dir, err)
	}
	return strings.TrimSpace(string(b)), nil
}

// readUevent reads a device's uevent attribute as its keys and values.
func readUevent(dir string) (map[string]string, error) {
	text, err := readAttribute(dir, "uevent")
	if err != nil {
		return nil, err
	}
	out := map[string]string{}
	for line := range strings.Lines(text) {
		if key, value, ok := strings.Cut(strings.TrimSpace(line), "="); ok {
			out[key] = value
		}
	}
	return out, nil
}

// list returns the names in a directory that match; none when there is no
// such directory.
func list(dir string, match *regexp.Regexp) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("list %s: %w", dir, err)
	}
	var out []string
	for _, e := range entries {
		if match.MatchString(e.Name()) {
			out = append(out, e.Name())
		}
	}
	return out, nil
}

// namesOf lists the names by which a plugin may call a device: those given,
// and a PCI address also with dashes, as names of Kubernetes objects need it.
func namesOf(id string, more ...string) []string {
	out := union([]string{id}, more)
	if pciAddress.MatchString(id) {
		out = append(out, strings.NewReplacer(":", "-", ".", "-").Replace(id))
	}
	return out
}

// each calls read for every name in a directory that matches, and gathers what
// it finds. A device that is pulled out meanwhile is passed over; one that
// cannot be read is an error, which does not hide the others.
func each(dir string, match *regexp.Regexp, read func(dir, name string) (*Device, error)) ([]Device, error) {
	names, err := list(dir, match)
	if err != nil {
		return nil, err
	}
	var found []Device
	var errs []error
	for _, name := range names {
		d, err := read(filepath.Join(dir, name), name)
		switch {
		case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ENODEV):
		case err != nil:
			errs = append(errs, err)
		case d != nil:
			found = append(found, *d)
		}
	}
	return mergeByID(found), errors.Join(errs...)
}

// mergeByID makes one device of those with the same id, with the names and
// files of all, without repetition.
func mergeByID(devices []Device) []Device {
	var out []Device
	at := map[string]int{}
	for _, d := range devices {
		i, known := at[d.ID]
		if !known {
			at[d.ID] = len(out)
			out = append(out, d)
			continue
		}
		out[i].Names = union(out[i].Names, d.Names)
		out[i].Files = union(out[i].Files, d.Files)
	}
	return out
}

func union(x, y []string) []string {
	for _, s := range y {
		if !slices.Contains(x, s) {
			x = append(x, s)
		}
	}
	return x
}
