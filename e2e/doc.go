// Package e2e holds no code of its own: its tests run HeteroAccel on a real
// control plane, the stock kube-apiserver and kube-scheduler.
package e2e
