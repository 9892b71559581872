package kube

import (
	corev1 "k8s.io/api/core/v1"

	"heteroaccel.io/pkg/inventory"
)

// PodEvent is a pod that is new or has changed.
type PodEvent struct {
	// Pod is whole if it waits for the accelerator that was chosen for it; of any
	// other pod it may be only what the inventory needs, and of a bound one neither
	// its containers nor their statuses.
	Pod *corev1.Pod
	// PodChange is what it changed in the inventory, the first consumer: it is set
	// for all others.
	inventory.PodChange
}

// OnPod is a consumer of the pods themselves.
func OnPod(set func(*corev1.Pod)) func(*PodEvent) {
	return func(e *PodEvent) { set(e.Pod) }
}

// OnRecord is a consumer of the pods as the inventory has them.
func OnRecord(do func(*inventory.Pod)) func(*PodEvent) {
	return func(e *PodEvent) { do(e.Record) }
}

// OnAdmitted is a consumer of the pods that ended their reservation.
func OnAdmitted(do func(*inventory.Pod)) func(*PodEvent) {
	return func(e *PodEvent) {
		if e.Admitted {
			do(e.Record)
		}
	}
}

// OnStarted is a consumer of the pods whose first container started while they were known.
func OnStarted(do func(*inventory.Pod)) func(*PodEvent) {
	return func(e *PodEvent) {
		if e.Started {
			do(e.Record)
		}
	}
}

// OnFinished is a consumer of the pods that ended while they were known.
func OnFinished(do func(*inventory.Pod)) func(*PodEvent) {
	return func(e *PodEvent) {
		if e.Finished {
			do(e.Record)
		}
	}
}
