// Package machine describes the computers of a cluster that has none: their
// CPU, memory and accelerators, and what a program that looks for them would
// find under /sys and /proc.
//
// A description enters; a sysfs and a procfs tree and a Kubernetes Node
// leave, and follow when a device breaks, is unplugged, or is used by a
// process outside Kubernetes. The package never reads the real /sys or /proc
// and never talks to a cluster.
package machine
