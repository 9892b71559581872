package server

import (
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/tools/events"

	"heteroaccel.io/pkg/inventory"
	"heteroaccel.io/pkg/policy"
	"heteroaccel.io/pkg/text"
)

// Choices announces, where `kubectl describe pod` shows it, those choices that a person
// should notice: the pod has to wait, or a kind was refused. All others are explained by
// the pod's annotation alone: an Event is one more write for every pod. Its methods may be
// called from any goroutine.
type Choices struct {
	recorder events.EventRecorder

	mu sync.Mutex
	// noted are the reservations of pods to come, with when each was noted.
	noted map[string]time.Time
}

const (
	// noteLasts is for longer than it takes until an admitted pod is seen.
	noteLasts = 2 * time.Minute
	// maxNoted bounds how many pods to come are noted.
	maxNoted = 4096
)

// NewChoices returns an announcer that writes with a recorder.
func NewChoices(recorder events.EventRecorder) *Choices {
	return &Choices{recorder: recorder, noted: map[string]time.Time{}}
}

// note has the pod that comes with a reservation announced.
func (c *Choices) note(reservation string, now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.noted) >= maxNoted {
		maps.DeleteFunc(c.noted, func(_ string, at time.Time) bool { return now.Sub(at) > noteLasts })
	}
	if len(c.noted) < maxNoted {
		c.noted[reservation] = now
	}
}

// Announce records an Event for a pod that was just admitted, if it was noted. During the
// review the pod has no uid yet that an Event could refer to.
func (c *Choices) Announce(p *inventory.Pod) {
	c.mu.Lock()
	_, noted := c.noted[p.Managed.Reservation]
	delete(c.noted, p.Managed.Reservation)
	c.mu.Unlock()
	if !noted {
		return
	}
	pod := &corev1.ObjectReference{
		APIVersion: "v1", Kind: "Pod", Namespace: p.Namespace, Name: p.Name, UID: p.UID,
	}
	c.recorder.Eventf(pod, nil, corev1.EventTypeNormal, "AcceleratorSelected", "Admission",
		"%s", explain(p.Managed))
}

// isNotable reports whether a person should notice a choice, the first of what was ranked.
func isNotable(ranked []policy.Ranked) bool {
	return ranked[0].Idle() == 0 || slices.ContainsFunc(ranked, func(r policy.Ranked) bool { return r.Refused != nil })
}

// explain explains the choice in at most the 1,024 bytes that an Event may have.
func explain(m *inventory.Managed) string {
	const limit = 1024
	s := fmt.Sprintf("%s on %s: %s", m.Inference, m.Kind, m.Reason)
	return text.Shorten(s, limit)
}
