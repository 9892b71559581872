package machine

import "fmt"

// GPU is the Intel GPU that the kernel calls card<index>, shared by slots
// pods. Its ids are the GPU device plugin's: card0-0, card0-1, …
func GPU(index, slots int) Device {
	name := fmt.Sprintf("card%d", index)
	address := "0000:00:02.0" // where an integrated GPU always sits
	if index > 0 {
		address = fmt.Sprintf("0000:%02x:00.0", 0x10+index)
	}
	return Device{
		Kind: "GPU", Name: name, Resource: "gpu.intel.com/i915",
		Bus: PCI, Address: address, VendorID: "8086", DeviceID: "9a49",
		Vendor: "Intel Corporation", Model: "TigerLake-LP GT2 [Iris Xe Graphics]",
		Driver: "i915", NUMA: -1, Class: "drm",
		Node: fmt.Sprintf("/dev/dri/renderD%d", 128+index), IDs: shared(name, slots),
	}
}

// NPU is the NPU of an Intel Core Ultra that the kernel calls accel<index>,
// shared by slots pods. Its ids are the NPU device plugin's: accel0-0, …
func NPU(index, slots int) Device {
	name := fmt.Sprintf("accel%d", index)
	address := "0000:00:0b.0" // where an integrated NPU always sits
	if index > 0 {
		address = fmt.Sprintf("0000:%02x:00.0", 0x40+index)
	}
	return Device{
		Kind: "NPU", Name: name, Resource: "npu.intel.com/accel",
		Bus: PCI, Address: address, VendorID: "8086", DeviceID: "643e",
		Vendor: "Intel Corporation", Model: "Lunar Lake NPU",
		Driver: "intel_vpu", NUMA: -1, Class: "accel",
		Node: "/dev/accel/" + name, IDs: shared(name, slots),
	}
}

// FPGA is the Arria 10 GX card that the kernel calls region<index>, programmed
// with the loopback function nlb0. Its id is the FPGA device plugin's for a
// region.
func FPGA(index int) Device {
	name := fmt.Sprintf("region%d", index)
	return Device{
		Kind: "FPGA", Name: name, Resource: "fpga.intel.com/arria10.dcp1.2-nlb0",
		Bus: PCI, Address: fmt.Sprintf("0000:%02x:00.0", 0x80+index), VendorID: "8086", DeviceID: "09c4",
		Vendor: "Intel Corporation", Model: "PAC with Intel Arria 10 GX FPGA",
		Driver: "dfl-pci", NUMA: 0, Class: "fpga_region",
		Node: fmt.Sprintf("/dev/dfl-port.%d", index), IDs: []string{name},
	}
}

// Stick is a Neural Compute Stick 2 in port <index>+1 of USB bus 1. Its id is
// the VPU device plugin's, which counts sticks without naming them.
func Stick(index int) Device {
	path := fmt.Sprintf("1-%d", index+1)
	return Device{
		Kind: "NPU", Name: path, Resource: "vpu.intel.com/hddl",
		Bus: USB, Address: path, VendorID: "03e7", DeviceID: "2485",
		Vendor: "Movidius Ltd.", Model: "Movidius MyriadX",
		Driver: "usb", NUMA: -1,
		Node: fmt.Sprintf("/dev/bus/usb/001/%03d", index+2),
		IDs:  []string{fmt.Sprintf("hddl_service-%d", index)},
	}
}

// shared returns the ids of a device that slots pods share.
func shared(name string, slots int) []string {
	var ids []string
	for i := range max(slots, 1) {
		ids = append(ids, fmt.Sprintf("%s-%d", name, i))
	}
	return ids
}
