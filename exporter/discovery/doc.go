// Package discovery finds the accelerators of the machine it runs on.
//
// The mount points of sysfs and procfs enter; Devices leave, as the kernel
// describes them: what they are, whether they can be used, and how busy they
// are where everybody may read it. It never writes, never wakes a device that is
// powered down, never asks Kubernetes, and does not know who uses a device. A
// class of devices that the machine does not have is no error; one that cannot
// be read is.
//
// # Health
//
// A device is usable unless something says otherwise: health.go has the checks
// for every device (a driver is bound, the power state, the PCI bus),
// driverhealth.go those that only one driver offers. Package allocation then
// decides the health that is reported (its kubelethealth.go), with the kubelet's list
// of what can be allocated.
//
// # How to add a kind of device
//
// A device whose driver uses one of the kernel's classes (drm, accel,
// fpga_region) is found without a change. Entries in tables complete it:
//
//   - names.go: vendors and models for people, and resourceOfDriver if its
//     device plugin serves the driver's devices under one resource.
//   - pci.go: acceleratorKinds by PCI numbers, or gpuVendors for graphics, so
//     that a device without its driver is found too; classes if it has a class
//     that is not there yet.
//   - chip.go: chipGPUs, the driver of a GPU that is not on the PCI bus.
//
// What the driver reports of a device's health goes into readDriverHealth in
// driverhealth.go, how busy it is into activityOf and activityDrivers in
// activity.go, and its virtual functions or partitions into addParts in
// partition.go.
//
// A device that no class shows needs a function like Sticks (stick.go) that
// takes Mounts and returns Devices, in a file named after it, and a line in the
// table scans of exporter/collector/collector.go, whose name there becomes that
// of the collector in the metrics.
//
// A device plugin whose resource or ids say neither kind nor device is matched in
// package allocation: kindWords and vendorDomains in resource.go, the spellings
// of ids in names.go.
//
// Last, describe the machine in exporter/testmachine/NAME.txt, as a real one
// shows itself, and what its kubelet answers in the table kubelets of
// exporter/collector/machines_test.go. Then run
//
//	go test ./exporter/discovery ./exporter/collector -update
//
// and read the golden files it writes into their testdata.
package discovery
