package policy

import (
	"slices"
	"time"
)

// fullWeight is the weight of a preferred node that is worth one more run.
const fullWeight = 100

// applyPreference puts a candidate first that is idle on a node which the pod
// prefers, more than those that the first one has, if that costs the pod little.
// Of several it is the one that the pod prefers most, then the one ranked first.
//
// The weight of the node, as the pod's node affinity states it, is what the pod
// gives for it, in hundredths of a run on the first candidate: at the full weight
// a run may cost as much as two there. So a weight of 1 decides between kinds that
// are alike, and 100 between a device nearby and one elsewhere that is up to twice
// as fast. cost is what the policy minimizes, in seconds: a kind that others need
// more is charged for here as well.
//
// The pod itself is done, whatever the policy charges, at most one run later than
// on the kind where it would be done first; or not later than on the first
// candidate. No pod waits for a node that it prefers.
func applyPreference(ranked []Ranked, cost func(Ranked) float64) []Ranked {
	if !slices.ContainsFunc(ranked, func(r Ranked) bool { return r.PreferredWeight > 0 }) {
		return ranked
	}
	first := ranked[0]
	latest := max(first.Finish, latestFinish(ranked))
	perWeight := (cost(first) - first.waitSeconds()) / fullWeight
	chosen := 0
	for i, r := range ranked {
		if r.weight() <= ranked[chosen].weight() || r.Refused != nil || r.Nodes <= 0 || r.Idle() <= 0 || r.overdue(first) {
			continue
		}
		more := float64(r.weight() - first.weight())
		if r.Finish <= latest && cost(r) <= cost(first)+more*perWeight {
			chosen = i
		}
	}
	if chosen > 0 {
		r := ranked[chosen]
		r.Preferred = true
		ranked = slices.Insert(slices.Delete(ranked, chosen, chosen+1), 0, r)
	}
	return ranked
}

// weight is the candidate's PreferredWeight, 0 to fullWeight.
func (r Ranked) weight() int { return min(max(0, r.PreferredWeight), fullWeight) }

// latestFinish is one run later than the earliest finish of the kinds that nobody
// refuses; 0 without any.
func latestFinish(ranked []Ranked) (latest time.Duration) {
	least := Never
	for _, r := range ranked {
		if r.Refused == nil && r.Nodes > 0 && r.Finish < least {
			least, latest = r.Finish, r.Finish+(r.Finish-r.Wait)
		}
	}
	return latest
}
