// Package containerruntime tells what a node's container runtime can do.
//
// The version that the kubelet reports of it enters; whether it gives containers the
// devices of the Container Device Interface (CDI) leaves. It asks nobody: what is
// configured there, the version does not tell.
package containerruntime
