package choice

import (
	"slices"
	"time"

	"heteroaccel.io/pkg/accel"
	"heteroaccel.io/pkg/inventory"
	"heteroaccel.io/pkg/policy"
)

// Better finds the kind that is better for a pod which waits for kind: the
// policy's first choice, if kind has nothing usable while that is idle, nobody
// refuses it, and the pod finishes there sooner by more than margin, or makes its
// deadline there and misses it where it waits. For a pod
// that the scheduler finds no node for on its kind, usable or not, the policy's
// first choice is better even if that is not idle. What is returned is the policy's
// ranking by which it was found, which the better kind leads and policy.Explain
// explains; nil when the pod should go on waiting. gain is policy.Never where nothing
// of kind is ever expected to free.
//
// Gain and margin are time alone: a node that the pod prefers never moves it, it
// decides where a pod goes that moves. If what it would get there is not enough
// sooner, it moves to what the policy chooses otherwise, rather than wait.
func Better(rank policy.Policy, candidates []inventory.Candidate, kind accel.Kind, margin time.Duration) (ranked []policy.Ranked, gain time.Duration) {
	ranked, gain = better(rank, candidates, kind, margin)
	if ranked == nil && slices.ContainsFunc(candidates, func(c inventory.Candidate) bool { return c.PreferredWeight > 0 }) {
		candidates = slices.Clone(candidates)
		for i := range candidates {
			candidates[i].PreferredNode, candidates[i].PreferredWeight = "", 0
		}
		return better(rank, candidates, kind, margin)
	}
	return ranked, gain
}

// better is Better for what the policy chooses.
func better(rank policy.Policy, candidates []inventory.Candidate, kind accel.Kind, margin time.Duration) (ranked []policy.Ranked, gain time.Duration) {
	own := slices.IndexFunc(candidates, func(c inventory.Candidate) bool { return c.Kind == kind })
	if own < 0 {
		return nil, 0
	}
	stuck := candidates[own].Refused != nil && candidates[own].Refused.Unschedulable
	if !stuck && (candidates[own].Usable > 0 || !slices.ContainsFunc(candidates, func(c inventory.Candidate) bool { return c.Idle() > 0 })) {
		return nil, 0
	}
	ranked = rank(candidates)
	best := ranked[0]
	if best.Index == own || best.Refused != nil || best.Nodes == 0 {
		return nil, 0
	}
	if stuck {
		return ranked, policy.Never
	}
	if best.Idle() == 0 || best.Finish == policy.Never {
		return nil, 0
	}
	i := slices.IndexFunc(ranked, func(r policy.Ranked) bool { return r.Index == own })
	if ranked[i].Finish == policy.Never {
		return ranked, policy.Never
	}
	if gain = ranked[i].Finish - best.Finish; gain <= margin && !Keeps(ranked, kind) {
		return nil, 0
	}
	return ranked, gain
}

// AtPosition returns a copy of the candidates as they stand for a pod with ahead
// pods before it in the queue of its kind: those behind it do not make its wait
// longer.
func AtPosition(candidates []inventory.Candidate, kind accel.Kind, ahead int64) []inventory.Candidate {
	candidates = slices.Clone(candidates)
	for i := range candidates {
		if c := &candidates[i]; c.Kind == kind {
			c.Queued = min(c.Queued, ahead)
		}
	}
	return candidates
}
