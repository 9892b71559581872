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
	// Kind is what sort of accelerator it is.
	Kind accel.Kind
	// ID is its PCI address ("0000:00:02.0") or its USB path ("1-2.1"); what
	// is on another bus has the name it has there ("fb000000.gpu").
	ID string
	// Vendor and Model describe it in words, Driver is the kernel's; any may
	// be "".
	Vendor, Model, Driver string
	// NUMA is the node it is attached to, nil where the kernel names none.
	NUMA *int
	// Fault says in words why the kernel cannot use it, "" when it can.
	Fault string
	// Unknown says in words why the kernel does not tell whether it can be used,
	// "" when it does. It counts where there is no Fault.
	Unknown string `json:",omitempty"`
	// Passthrough is set where Fault is only that it is set aside for virtual
	// machines: whoever serves it serves these.
	Passthrough bool `json:",omitempty"`
	// OnlyIfServed is set for graphics that are part of nearly every system on a
	// chip: an accelerator only where somebody serves it as one.
	OnlyIfServed bool `json:",omitempty"`
	// Instances is how many parts it is divided into of which the kernel does
	// not tell the names that a device plugin has for them; 0 when undivided.
	Instances int `json:",omitempty"`
	// Resource is the extended resource under which the device plugin of its
	// driver serves it, as a rule; "" where no rule is known.
	Resource string
	// Names are the names by which a device plugin or a DRA driver may call
	// it, ID included. One that means something for one DRA driver alone has
	// the driver before it: "gpu.nvidia.com/gpu-0".
	Names []string
	// Files are the device files through which a program computes on it.
	Files []string
	// Activity is what the kernel counts of its work.
	Activity Activity
}

// Key is the device's name on its node.
func (d Device) Key() accel.DeviceKey { return accel.DeviceKey{Kind: d.Kind, ID: d.ID} }

// each calls read for every name in a directory that matches, and gathers what
// it finds. A device that is pulled out meanwhile is passed over; what cannot
// be read of one is an error, which hides neither it nor the others.
func each(dir string, match *regexp.Regexp, read func(dir, name string) (*Device, error)) ([]Device, error) {
	names, err := list(dir, match)
	if err != nil {
		return nil, err
	}
	var found []Device
	var errs []error
	for _, name := range names {
		d, err := read(filepath.Join(dir, name), name)
		if err != nil && !gone(err) {
			errs = append(errs, err)
		}
		if d != nil {
			found = append(found, *d)
		}
	}
	return Merge(found), errors.Join(errs...)
}

// gone tells that what was to be read is not there any more.
func gone(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENODEV)
}

// Merge makes one device of those of a kind with the same id, with the names
// and files of all, without repetition; everything else is as the first says.
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
