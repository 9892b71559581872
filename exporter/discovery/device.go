package discovery

import (
	"errors"
	"io/fs"
	"path/filepath"
	"regexp"
	"slices"
	"syscall"

	"heteroaccel.io/pkg/accel"
)

// Mounts are where the kernel's file systems are mounted.
type Mounts struct {
	Sys, Proc string
}

// Device is an accelerator of the machine, as the kernel describes it.
type Device struct {
	// Kind is the kind of accelerator.
	Kind accel.Kind
	// ID is its PCI address ("0000:00:02.0"), its USB path ("1-2.1"), or its
	// name on another bus ("fb000000.gpu").
	ID string
	// Vendor and Model are in words, Driver is the kernel's name of it; any may
	// be "".
	Vendor, Model, Driver string
	// NUMA is the node it is attached to, nil for none.
	NUMA *int
	// Fault says why it cannot be used, "" when it can.
	Fault string
	// Unknown says why it is unknown whether it can be used, "" when it is
	// known. It counts only without a Fault.
	Unknown string `json:",omitempty"`
	// Passthrough is set when its only Fault is that it is set aside for virtual
	// machines: a plugin that serves it serves it to those.
	Passthrough bool `json:",omitempty"`
	// OnlyIfServed is set for the GPU that nearly every system on a chip has: it
	// is an accelerator only where something serves it.
	OnlyIfServed bool `json:",omitempty"`
	// Instances is how many parts it is divided into whose names at the device
	// plugin the kernel does not know; 0 when it is not divided.
	Instances int `json:",omitempty"`
	// Resource is the extended resource under which it is usually served; ""
	// when that is unknown.
	Resource string
	// Names are the names that a device plugin or a DRA driver may have for it,
	// ID included. A name of a single DRA driver has the driver before it:
	// "gpu.nvidia.com/gpu-0".
	Names []string
	// Files are the device files through which a program computes on it.
	Files []string
	// Activity is how much it works.
	Activity Activity
}

// Key is the device's name on its node.
func (d Device) Key() accel.DeviceKey { return accel.DeviceKey{Kind: d.Kind, ID: d.ID} }

// readEach calls read for every matching name in a directory, and collects the
// devices. It skips a device that is removed meanwhile. What cannot be read of a
// device is an error, which hides neither it nor the others.
func readEach(dir string, match *regexp.Regexp, read func(dir, name string) (*Device, error)) ([]Device, error) {
	names, err := list(dir, match)
	if err != nil {
		return nil, err
	}
	var found []Device
	var errs []error
	for _, name := range names {
		d, err := read(filepath.Join(dir, name), name)
		if err != nil && !isGone(err) {
			errs = append(errs, err)
		}
		if d != nil {
			found = append(found, *d)
		}
	}
	return Merge(found), errors.Join(errs...)
}

// isGone reports whether an error means that the device was removed.
func isGone(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENODEV)
}

// Merge merges devices of the same kind and id into one, with the names and
// files of all and everything else of the first.
func Merge(devices []Device) []Device {
	var out []Device
	at := make(map[accel.DeviceKey]int, len(devices))
	for _, d := range devices {
		i, known := at[d.Key()]
		if !known {
			at[d.Key()] = len(out)
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
