// Package cluster builds, starts and stops a Kubernetes cluster on this
// computer: etcd, kube-apiserver, kube-controller-manager, kube-scheduler, all
// as released, and kwok, which plays the kubelets of machines that are only
// described.
//
// What to start enters; a running control plane with clients, kubeconfigs and
// nodes leaves, and every process ends with Stop or with the program that
// started it, however that ends. Everything listens on the loopback interface
// alone, with credentials made for this one cluster. The package knows nothing
// of the project's own programs but how to compile and run them.
package cluster
