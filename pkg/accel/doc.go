// Package accel has what the whole project shares: accelerator kinds, devices, the
// annotation keys, and the one parser of a pod's request.
//
// Annotations and resource names enter; typed values leave. It does no I/O and
// never decides which accelerator a pod gets.
package accel
