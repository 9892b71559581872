package machine

import (
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"
)

// Machine is one computer. Its exported fields are fixed once Write was
// called; its methods may be called from several goroutines.
type Machine struct {
	// Name is the name of its Node: a DNS label.
	Name string
	// CPU is the model as /proc/cpuinfo words it.
	CPU string
	// MHz is the CPU's clock.
	MHz float64
	// Cores counts logical cores, hyper-threads included.
	Cores int
	// MemoryGiB is its memory.
	MemoryGiB int
	// Devices are its accelerators, the CPU excluded.
	Devices []Device

	mu    sync.Mutex
	root  string // "" before Write
	state map[string]*state
	next  int // the pid of the next process outside Kubernetes

	busy  float64       // cores
	spent time.Duration // of all cores together, working
	idle  time.Duration // of all cores together
	last  time.Time     // up to when spent and idle count
}

// state is what can change about a device; keyed by Device.Name.
type state struct {
	ill       bool // the device plugin reports it unhealthy
	unplugged bool
	pid       int // of the process outside Kubernetes that holds it, 0: none
}

// Bus is how a device is attached.
type Bus string

// The buses that accelerators sit on.
const (
	PCI Bus = "pci"
	USB Bus = "usb"
)

// Device is one accelerator as hardware and as its device plugin serves it.
type Device struct {
	// Kind is "GPU", "FPGA" or "NPU".
	Kind string
	// Name is the kernel's: card0, accel0, region0, or the USB path 1-1.
	// Unique on its machine.
	Name string
	// Resource is the extended resource its device plugin serves it as; "" where a DRA
	// driver serves it.
	Resource string
	// Bus and Address say where it sits: PCI and 0000:00:02.0, USB and 1-1.
	Bus     Bus
	Address string
	// VendorID and DeviceID have four hex digits, without 0x.
	VendorID, DeviceID string
	// Vendor and Model are the words a USB device says of itself.
	Vendor, Model string
	// Driver is the kernel module it is bound to.
	Driver string
	// NUMA is the node it is attached to, -1 where the machine has none.
	NUMA int
	// Class is the sysfs class it appears in: drm, accel, fpga_region; ""
	// for a USB device.
	Class string
	// Node is the device file a program opens: /dev/dri/renderD128.
	Node string
	// IDs are the ids its device plugin gives the kubelet, one for each pod
	// that may share it; at least one.
	IDs []string
}

// Slots is how many pods may share the device.
func (d Device) Slots() int { return len(d.IDs) }

// Device returns the device called name.
func (m *Machine) Device(name string) (Device, error) {
	for _, d := range m.Devices {
		if d.Name == name {
			return d, nil
		}
	}
	return Device{}, fmt.Errorf("machine %s has no device %q", m.Name, name)
}

// Resources counts the slots of every extended resource of the machine, of
// healthy and plugged devices (allocatable) and of all plugged ones (capacity,
// as the kubelet counts it). A resource with none left is in the maps as 0,
// as it is in a Node whose device plugin lost its devices.
func (m *Machine) Resources() (allocatable, capacity map[string]int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	allocatable, capacity = map[string]int64{}, map[string]int64{}
	for _, d := range m.Devices {
		if d.Resource == "" {
			continue
		}
		slots := int64(d.Slots())
		s := m.of(d.Name)
		if s.unplugged {
			slots = 0
		}
		capacity[d.Resource] += slots
		if s.ill {
			slots = 0
		}
		allocatable[d.Resource] += slots
	}
	return allocatable, capacity
}

// Allocatable returns the devices that may be given to pods: plugged and
// healthy, in the order of Devices, and a device plugin's.
func (m *Machine) Allocatable() []Device {
	m.mu.Lock()
	defer m.mu.Unlock()
	var devices []Device
	for _, d := range m.Devices {
		if s := m.of(d.Name); d.Resource != "" && !s.ill && !s.unplugged {
			devices = append(devices, d)
		}
	}
	return devices
}

// ResourceNames are the extended resources of the machine, sorted.
func (m *Machine) ResourceNames() []string {
	_, capacity := m.Resources()
	return slices.Sorted(maps.Keys(capacity))
}

// of returns the state of a device. The caller holds mu.
func (m *Machine) of(name string) *state {
	if m.state == nil {
		m.state = map[string]*state{}
	}
	if m.state[name] == nil {
		m.state[name] = &state{}
	}
	return m.state[name]
}
