package choice

import (
	"time"

	"heteroaccel.io/webhook/readmit/pending"
)

// Rules are the limits of re-admission.
type Rules struct {
	// Margin is by how much sooner the pod must be expected to be done.
	Margin time.Duration
	// Backoff is how long a pod is left alone after it was recreated once,
	// doubling with each further time.
	Backoff time.Duration
	// Patience is how long a pod waits before it overtakes those of a higher
	// priority.
	Patience time.Duration
}

// maxBackoff bounds what the doubling comes to.
const maxBackoff = time.Hour

// EligibleAt is when a pod that was recreated count times, the last time at
// created, may be recreated once more.
func (r Rules) EligibleAt(created time.Time, count int) time.Time {
	if count <= 0 {
		return created
	}
	pause := r.Backoff
	for range count - 1 {
		if pause *= 2; pause >= maxBackoff {
			break
		}
	}
	return created.Add(min(pause, maxBackoff))
}

// recreationTime is how long it takes until the new pod is there: a Job waits a
// second to see whether more of its pods change.
var recreationTime = map[pending.OwnerKind]time.Duration{
	pending.OwnerNone: 100 * time.Millisecond, pending.OwnerController: 100 * time.Millisecond, pending.OwnerJob: time.Second,
	pending.OwnerClaim: 30 * time.Millisecond,
}

// MarginOf is by how much sooner a pod must be expected to be done, given how it
// is recreated.
func (r Rules) MarginOf(o pending.OwnerKind) time.Duration { return r.Margin + recreationTime[o] }
