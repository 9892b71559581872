package learning

import (
	"sync"

	"heteroaccel.io/pkg/accel"
	"heteroaccel.io/pkg/inventory"
	"heteroaccel.io/pkg/policy"
)

// Trials count the pods of each inference that end by themselves, so that a
// policy can tell when one may be spent on timing a run somewhere. They read no
// clock and keep nothing: a program that restarts begins at 0, after which no
// trial comes sooner than it may. The methods may be called from any goroutine.
// Use NewTrials.
type Trials struct {
	mu sync.Mutex
	of map[string]*inference
}

type inference struct {
	// pods is how many there were, and trial how many at the last trial.
	pods, trial int64
	kinds       map[accel.Kind]*kind
}

type kind struct {
	tries int64
	// last is how many pods, and runs how many timed runs, there were when a pod was
	// last sent to this kind.
	last, runs int64
}

// maxInferences bounds the counts where profiles come and go: with more of them
// all begin at 0.
const maxInferences = 4096

// NewTrials returns trials that have counted nothing.
func NewTrials() *Trials { return &Trials{of: map[string]*inference{}} }

// Allow marks the candidates for a pod that ends by itself: a trial may be spent
// on each. It adds the counts by which the policy decides whether one is due.
func (t *Trials) Allow(name string, candidates []inventory.Candidate) {
	t.mu.Lock()
	defer t.mu.Unlock()
	of := t.of[name]
	if of == nil {
		of = &inference{}
	}
	for i := range candidates {
		c := &candidates[i]
		c.TrialHistory = inventory.TrialHistory{Allowed: true, PodsSinceTrial: of.pods - of.trial, PodsSinceKind: of.pods}
		if k := of.kinds[c.Kind]; k != nil {
			c.TrialHistory.PodsSinceKind, c.TrialHistory.Trials, c.TrialHistory.Untimed = of.pods-k.last, k.tries, c.Timed.Runs <= k.runs
		}
	}
}

// Record counts the pod that the candidates were for, once it is certain that it
// gets the kind of chosen.
func (t *Trials) Record(name string, chosen policy.Ranked) {
	t.mu.Lock()
	defer t.mu.Unlock()
	of := t.of[name]
	if of == nil {
		if len(t.of) >= maxInferences {
			clear(t.of)
		}
		of = &inference{kinds: map[accel.Kind]*kind{}}
		t.of[name] = of
	}
	k := of.kinds[chosen.Kind]
	if k == nil {
		k = &kind{}
		of.kinds[chosen.Kind] = k
	}
	if chosen.Trial != policy.NoTrial {
		k.tries++
		of.trial = of.pods
	} else {
		of.pods++
	}
	k.last, k.runs = of.pods, chosen.Timed.Runs
}
