package upgrade

import (
	"slices"
	"time"
)

// costStep is by how much the deletion cost of one kind lies above the next slower one's.
const costStep = 100

// Replica is one of the servers of a ReplicaSet, as far as it matters which of them it
// deletes first.
type Replica struct {
	// Takes is how long an inference takes there, 0 where nobody knows.
	Takes time.Duration
	// Cost is its deletion cost, and Own set where somebody else set that.
	Cost int
	Own  bool
}

// Costs are the deletion costs to set, by index, for the slowest replicas to be deleted
// first when there are to be fewer: none where they are in that order. The slowest cost 0,
// which is what a pod costs without an annotation. Where somebody else sets the cost of
// one, or nobody knows how long one takes, nothing is set.
func Costs(replicas []Replica) map[int]int {
	var takes []time.Duration
	for _, r := range replicas {
		if r.Own || r.Takes <= 0 {
			return nil
		}
		takes = append(takes, r.Takes)
	}
	slices.Sort(takes)
	takes = slices.Compact(takes)
	slices.Reverse(takes)
	rank := func(r Replica) int { return slices.Index(takes, r.Takes) }
	// In order is whoever costs less than all that are faster, whatever the numbers.
	least := make([]int, len(takes))
	most := make([]int, len(takes))
	for i, r := range replicas {
		n := rank(r)
		if first := !slices.ContainsFunc(replicas[:i], func(o Replica) bool { return o.Takes == r.Takes }); first {
			least[n], most[n] = r.Cost, r.Cost
		}
		least[n], most[n] = min(least[n], r.Cost), max(most[n], r.Cost)
	}
	inOrder := true
	for n := 1; n < len(takes); n++ {
		inOrder = inOrder && most[n-1] < least[n]
	}
	if inOrder {
		return nil
	}
	costs := map[int]int{}
	for i, r := range replicas {
		if cost := rank(r) * costStep; cost != r.Cost {
			costs[i] = cost
		}
	}
	return costs
}
