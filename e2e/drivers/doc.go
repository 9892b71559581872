// Package drivers tests the exporter as DRA driver, and late binding by its devices, on
// real kubelets: three nodes with containerd 2, and one whose containerd has no CDI.
package drivers
