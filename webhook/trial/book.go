// Package trial counts pods, so that policies can tell when one may be spent on
// learning how long a run takes somewhere.
//
// Candidates enter before a policy ranks them and get the counts; what it chose
// enters afterwards. The package decides nothing, reads no clock and keeps
// nothing: a program that starts anew begins at 0, after which no trial comes
// sooner than it may.
package trial

import (
	"sync"

	"heteroaccel.io/pkg/accel"
	"heteroaccel.io/pkg/inventory"
	"heteroaccel.io/pkg/policy"
)

// Book counts the pods of each inference that end by themselves. Its methods
// may be called from any goroutine. Use NewBook.
type Book struct {
	mu sync.Mutex
	of map[string]*inference
}

type inference struct {
	// pods is how many there were; trial is what that was at the last trial.
	pods, trial int64
	kinds       map[accel.Kind]*kind
}

type kind struct {
	tries int64
	// last is the count of pods, and runs that of timed runs, when one was last
	// sent there.
	last, runs int64
}

// mostInferences bounds the book where profiles come and go: with more of them
// it begins at 0.
const mostInferences = 4096

// NewBook returns a book that has counted nothing.
func NewBook() *Book { return &Book{of: map[string]*inference{}} }

// Offer marks the candidates for a pod of an inference that ends by itself as
// ones that a run may be spent on.
func (b *Book) Offer(name string, candidates []inventory.Candidate) {
	b.mu.Lock()
	defer b.mu.Unlock()
	of := b.of[name]
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

// Decided counts the pod that the candidates were for, once it is certain that
// it goes to the first.
func (b *Book) Decided(name string, first policy.Ranked) {
	b.mu.Lock()
	defer b.mu.Unlock()
	of := b.of[name]
	if of == nil {
		if len(b.of) >= mostInferences {
			clear(b.of)
		}
		of = &inference{kinds: map[accel.Kind]*kind{}}
		b.of[name] = of
	}
	k := of.kinds[first.Kind]
	if k == nil {
		k = &kind{}
		of.kinds[first.Kind] = k
	}
	if first.Trial != policy.NoTrial {
		k.tries++
		of.trial = of.pods
	} else {
		of.pods++
	}
	k.last, k.runs = of.pods, first.Timed.Runs
}
