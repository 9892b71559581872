// Package realnodes is a cluster of real nodes on this computer, as a cluster is before
// HeteroAccel is installed: a control plane, three nodes with a real containerd and
// kubelet each, CoreDNS, and a device plugin for accelerators that are files only.
//
// A configuration enters; a running cluster leaves, with images that its nodes have. It
// needs root, and installs nothing of ours.
package realnodes
