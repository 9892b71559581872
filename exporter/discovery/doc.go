// Package discovery finds the accelerators of the machine it runs on.
//
// The mount points of sysfs and procfs enter; Devices leave, as the kernel
// describes them: what they are, whether they can be used, and how busy they
// are where it lets everybody know. It never writes, never wakes a device that
// sleeps, never asks Kubernetes, and knows nothing of who uses a device. A
// class of devices that the machine does not have is no error; one that cannot
// be read is.
package discovery
