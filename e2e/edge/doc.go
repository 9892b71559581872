// Package edge is HeteroAccel on a cluster of real nodes on this computer: a
// control plane, three nodes with a real containerd and kubelet each,
// CoreDNS, a device plugin for accelerators that are files only, a real
// Prometheus, the project's programs as pods from the project's own manifests,
// and images with real inferences.
//
// A configuration enters; a running installation leaves, with what it takes to
// look at it. It needs root.
package edge
