package server

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/tools/events"

	"heteroaccel.io/pkg/inventory"
	"heteroaccel.io/pkg/text"
)

// Announce returns a function that records an Event for a pod that was just
// admitted: it explains the choice where `kubectl describe pod` shows it. During
// the review the pod has no uid yet that an Event could refer to.
func Announce(recorder events.EventRecorder) func(*inventory.Pod) {
	return func(p *inventory.Pod) {
		pod := &corev1.ObjectReference{
			APIVersion: "v1", Kind: "Pod", Namespace: p.Namespace, Name: p.Name, UID: p.UID,
		}
		recorder.Eventf(pod, nil, corev1.EventTypeNormal, "AcceleratorSelected", "Admission",
			"%s", note(p.Managed))
	}
}

// note explains the choice in at most the 1,024 bytes that an Event may have.
func note(m *inventory.Managed) string {
	const limit = 1024
	s := fmt.Sprintf("%s on %s: %s", m.Inference, m.Kind, m.Reason)
	return text.Shorten(s, limit)
}
