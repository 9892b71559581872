package policy

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"heteroaccel.io/pkg/inventory"
)

// Policy ranks candidates, best first. It gets at least one and returns each
// exactly once.
type Policy func([]inventory.Candidate) []Ranked

// Ranked is a candidate with what a policy expects of it.
type Ranked struct {
	inventory.Candidate
	// Index is the candidate's place in the policy's input.
	Index int
	// Wait is until a slot is free, Never when none is expected to be.
	Wait time.Duration
	// Finish is Wait and the service time together, Never if Wait is.
	Finish time.Duration
	// Price is what a run is charged on top of its own time for the time it
	// takes from others, in parts of its service time. Only PricedFinish
	// charges anything.
	Price float64
	// Trial says why a run is spent on this candidate to learn how long it
	// takes, NoTrial when it is not.
	Trial Trial
}

// Default is the policy of a program that was told none.
const Default = "priced-finish"

// policies are all there are, by the name a flag chooses them with.
var policies = map[string]Policy{
	"idle-first":      IdleFirst,
	"earliest-finish": EarliestFinish,
	"priced-finish":   PricedFinish,
}

// Named returns the policy with a name.
func Named(name string) (Policy, error) {
	if p, ok := policies[name]; ok {
		return p, nil
	}
	return nil, fmt.Errorf("there is no policy %q: choose one of %s", name, strings.Join(slices.Sorted(maps.Keys(policies)), ", "))
}

// IdleFirst is the paper's policy: an idle kind in the order of preference,
// whatever it takes there; if none is idle, the one that is expected to finish
// first.
func IdleFirst(candidates []inventory.Candidate) []Ranked {
	return rank(candidates, func(a, b Ranked) int {
		if idleA, idleB := a.Idle() > 0, b.Idle() > 0; idleA != idleB {
			return boolFirst(idleA)
		} else if idleA {
			return cmp.Compare(a.Rank, b.Rank)
		}
		return finishFirst(a, b)
	})
}

// EarliestFinish takes the smallest expected wait and service time together,
// but for a trial now and then.
func EarliestFinish(candidates []inventory.Candidate) []Ranked {
	return try(rank(candidates, finishFirst))
}

// rank orders candidates; always last come those that a quota refuses, and
// before them those whose kind no node offers.
func rank(candidates []inventory.Candidate, compare func(a, b Ranked) int) []Ranked {
	return order(estimate(candidates), compare)
}

// order sorts candidates whose estimates are made.
func order(ranked []Ranked, compare func(a, b Ranked) int) []Ranked {
	slices.SortStableFunc(ranked, func(a, b Ranked) int {
		if c := cmp.Compare(against(a.Refused), against(b.Refused)); c != 0 {
			return c
		}
		if thereA, thereB := a.Nodes > 0, b.Nodes > 0; thereA != thereB {
			return boolFirst(thereA)
		}
		return cmp.Or(compare(a, b), cmp.Compare(a.Rank, b.Rank), cmp.Compare(a.Index, b.Index))
	})
	return ranked
}

// against orders refusals: none, one that leaves the pod waiting, one that
// keeps it from being created.
func against(r *inventory.Refusal) int {
	switch {
	case r == nil:
		return 0
	case r.Unschedulable:
		return 1
	}
	return 2
}

// finishFirst compares by expected finish. Among kinds that are never expected
// to free, the queue decides that is the shortest for its number of slots.
func finishFirst(a, b Ranked) int {
	if c := cmp.Compare(a.Finish, b.Finish); c != 0 || a.Finish != Never {
		return c
	}
	return cmp.Compare(a.pressure(), b.pressure())
}

// pressure is how many pods wait for each slot.
func (r Ranked) pressure() float64 {
	return (float64(r.Claimed) + float64(r.Queued)) / float64(max(1, r.Total))
}

func boolFirst(aHas bool) int {
	if aHas {
		return -1
	}
	return 1
}
