// Package dradriver makes the exporter the DRA driver of its node's devices.
//
// Readings of the node enter, what the API server says of the node, and the kubelet's
// calls; ResourceSlices leave, and for each claim a file of package cdi, from which the
// container runtime gives a container its device. It serves only the kinds that it is
// told to, none where a device plugin or another DRA driver serves that kind, and none
// at all where the container runtime would ignore its files.
//
// It keeps nothing that a restart would lose: what is prepared is in the files, what is
// published is at the API server. Two processes may serve a node, as they do while a
// DaemonSet is updated.
package dradriver
