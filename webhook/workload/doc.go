// Package workload measures the pods that the webhook admitted: how many there are of
// each namespace, inference and kind, how long they waited for their accelerator, and how
// long their runs are expected to take. Dashboards are made of that.
package workload
