package readmit

import (
	"time"

	"heteroaccel.io/pkg/accel"
	"heteroaccel.io/pkg/inventory"
	"heteroaccel.io/pkg/policy"
)

// What a pass asks of each pod, for who plays passes in virtual time and must
// not answer otherwise.

// Better finds what a pod that waits for kind should rather have: to is an
// index into candidates, -1 when it is best left waiting, and gain how much
// sooner it would be done, policy.Never when it would never be.
func Better(choose policy.Policy, candidates []inventory.Candidate, kind accel.Kind, margin time.Duration) (to int, gain time.Duration) {
	return better(choose, candidates, kind, margin)
}

// Placed are the candidates for a pod with so many before it.
func Placed(candidates []inventory.Candidate, kind accel.Kind, before int64) []inventory.Candidate {
	return placed(candidates, kind, before)
}

// Rested is when a pod that was made again count times, the last time at
// created, may be made again once more.
func (r Rules) Rested(created time.Time, count int) time.Time { return r.rested(created, count) }
