package live

import (
	"time"

	"k8s.io/apimachinery/pkg/types"

	"heteroaccel.io/pkg/inventory"
)

const (
	// estimated is for how many pods of a queue a wait is estimated, and estimateLasts how
	// long that counts.
	estimated     = 30
	estimateLasts = 5 * time.Second
)

// estimates are when pods are expected to start.
type estimates struct{ by map[types.UID]estimate }

type estimate struct {
	at     time.Time
	place  int
	starts *time.Time // nil for never
}

func newEstimates() estimates { return estimates{map[types.UID]estimate{}} }

// begin forgets what is too old.
func (e *estimates) begin(now time.Time) {
	for uid, known := range e.by {
		if now.Sub(known.at) >= estimateLasts {
			delete(e.by, uid)
		}
	}
}

// of is when a pod is expected to start that has so many before it, nil if that is not
// known.
func (e *estimates) of(p *inventory.Pod, ahead int, now time.Time, wait func(*inventory.Pod, int64) (time.Duration, bool)) *time.Time {
	if ahead >= estimated {
		return nil
	}
	known, ok := e.by[p.UID]
	if !ok || known.place != ahead {
		known = estimate{at: now, place: ahead}
		if w, ok := wait(p, int64(ahead)); ok {
			known.starts = rounded(now.Add(w))
		}
		e.by[p.UID] = known
	}
	return known.starts
}
