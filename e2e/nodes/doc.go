// Package nodes makes Kubernetes nodes of this computer: each a tree of
// processes in kernel namespaces of its own, with a real containerd, kubelet
// and kube-proxy, and with the accelerators of a described machine in its /sys
// and /dev.
//
// Machines enter; nodes that join a control plane leave. The nodes share a
// network of their own, which the host reaches through one virtual device. It
// needs root. Everything is tied to processes: when the program that opened the
// site ends, however it ends, the kernel takes away processes, mounts and
// networks, and a janitor that outlives it takes away directories and control
// groups.
package nodes
