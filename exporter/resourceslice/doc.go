// Package resourceslice describes the node's devices to kube-scheduler: what the
// exporter publishes as DRA driver.
//
// Discovered devices with their external use, their slots, and the time enter;
// the devices of a ResourceSlice leave, unusable ones with a taint. It does no I/O and
// publishes nothing: package dradriver does.
//
// A Roster remembers what it described, so that a device that comes and goes costs few
// writes: a taint comes at once and goes only after the device has been usable for a
// while, which doubles each time.
package resourceslice
