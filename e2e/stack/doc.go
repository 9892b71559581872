// Package stack is HeteroAccel installed on a local cluster: the project's own
// manifests applied, its webhook and extender running as processes under the
// identities those manifests give them, and an exporter beside every node.
//
// The demo, the tests and the benchmarks use it; nothing that ships does.
package stack
