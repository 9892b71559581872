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
	// Index is the candidate's index in the policy's input.
	Index int
	// Wait is how long until the pod can start, Never when it is not expected to.
	Wait time.Duration
	// Finish is Wait plus the service time, Never if Wait is.
	Finish time.Duration
	// Price is what a run is charged for the time it takes from others, as a
	// fraction of its own service time. Only PricedFinish charges anything.
	Price float64
	// Late is set where the run is expected to end after the pod's deadline. It is not
	// where none would run: the kind is refused, or no node offers it.
	Late bool
	// Preferred is set for the first one when it is first because the pod prefers
	// one of its nodes.
	Preferred bool
	// Trial says why a run is spent on this candidate to learn how long it
	// takes, NoTrial when it is not.
	Trial Trial
}

// Default is the default value of the flag that chooses a policy.
const Default = "priced-finish"

// policies are all policies, by the name that a flag chooses them with.
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

// IdleFirst is the paper's policy: the first idle kind in the order of preference,
// however long a run takes there; if none is idle, the kind that is expected to
// finish first. Nodes that the pod prefers count as in every policy.
func IdleFirst(candidates []inventory.Candidate) []Ranked {
	return applyPreference(rank(candidates, func(a, b Ranked) int {
		if idleA, idleB := a.Idle() > 0, b.Idle() > 0; idleA != idleB {
			return trueFirst(idleA)
		} else if idleA {
			return cmp.Compare(a.Rank, b.Rank)
		}
		return finishFirst(a, b)
	}), finishSeconds)
}

// EarliestFinish minimizes the expected wait plus service time, but for nodes that
// the pod prefers, and for a trial now and then.
func EarliestFinish(candidates []inventory.Candidate) []Ranked {
	return applyTrial(applyPreference(rank(candidates, finishFirst), finishSeconds))
}

// finishSeconds is how long until the pod is expected to be done, in seconds.
func finishSeconds(r Ranked) float64 { return r.Finish.Seconds() }

// rank orders candidates by compare. Those that are not expected to make the pod's
// deadline come after those that are, then those that no node offers, and last come
// those that are refused.
func rank(candidates []inventory.Candidate, compare func(a, b Ranked) int) []Ranked {
	return order(estimate(candidates), compare)
}

// order is rank for candidates that have their estimates.
func order(ranked []Ranked, compare func(a, b Ranked) int) []Ranked {
	slices.SortStableFunc(ranked, func(a, b Ranked) int {
		if c := cmp.Compare(refusalOrder(a.Refused), refusalOrder(b.Refused)); c != 0 {
			return c
		}
		if thereA, thereB := a.Nodes > 0, b.Nodes > 0; thereA != thereB {
			return trueFirst(thereA)
		}
		if a.Late != b.Late {
			return trueFirst(b.Late)
		}
		return cmp.Or(compare(a, b), cmp.Compare(a.Rank, b.Rank), cmp.Compare(a.Index, b.Index))
	})
	return ranked
}

// refusalOrder orders refusals: none, one that leaves the pod pending, one that
// prevents its creation.
func refusalOrder(r *inventory.Refusal) int {
	switch {
	case r == nil:
		return 0
	case r.Unschedulable:
		return 1
	}
	return 2
}

// finishFirst compares by expected finish. Among kinds that are never expected to
// become free, the shortest queue relative to capacity is first.
func finishFirst(a, b Ranked) int {
	if c := cmp.Compare(a.Finish, b.Finish); c != 0 || a.Finish != Never {
		return c
	}
	return cmp.Compare(a.pressure(), b.pressure())
}

// pressure is how many pods wait for each that fits.
func (r Ranked) pressure() float64 {
	return (float64(r.Claimed) + float64(r.Queued)) / float64(max(1, r.Total))
}

func trueFirst(aHas bool) int {
	if aHas {
		return -1
	}
	return 1
}
