package policy

import (
	"math"
	"slices"
	"time"

	"heteroaccel.io/pkg/inventory"
)

// Never is the wait for what is not expected to free.
const Never = time.Duration(math.MaxInt64)

const (
	// Handover is what passes between the end of one pod and the start of the
	// next one's container on the same device: the end reported, the next one
	// scheduled, its container started. A kubelet takes about a second, which
	// is why an idle device that is somewhat slower beats a faster busy one.
	Handover = time.Second
	// unknownService stands in where not one candidate has a service time.
	unknownService = time.Second
	// longest bounds every estimate, so that sums cannot overflow.
	longest = 365 * 24 * time.Hour
)

// estimate gives each candidate its expected wait and finish.
func estimate(candidates []inventory.Candidate) []Ranked {
	typical := typicalService(candidates)
	ranked := make([]Ranked, len(candidates))
	for i, c := range candidates {
		service := c.Service
		if service <= 0 {
			service = typical
		}
		service = min(service, longest)
		r := Ranked{Candidate: c, Index: i, Wait: wait(c, service), Finish: Never}
		if r.Wait != Never {
			r.Finish = r.Wait + service
		}
		ranked[i] = r
	}
	return ranked
}

// typicalService is the median of the known service times, the lower of two: a
// kind nobody has timed yet is neither favoured nor starved, and one absurd
// hint moves nothing.
func typicalService(candidates []inventory.Candidate) time.Duration {
	known := make([]time.Duration, 0, len(candidates))
	for _, c := range candidates {
		if c.Service > 0 {
			known = append(known, c.Service)
		}
	}
	if len(known) == 0 {
		return unknownService
	}
	slices.Sort(known)
	return known[(len(known)-1)/2]
}

// wait estimates when a slot is free for one more pod: the running pods end
// one after another, and each of those that wait already takes the first slot
// that frees, for as long as one run of ours takes.
func wait(c inventory.Candidate, service time.Duration) time.Duration {
	if c.Idle() > 0 {
		return 0
	}
	q := line{turn: service + Handover, starting: float64(max(0, c.Claimed)), weight: 1}
	q.frees = make([]time.Duration, 0, len(c.Running))
	for _, r := range c.Running {
		if r.Ends {
			q.frees = append(q.frees, remaining(r, service))
		}
	}
	if len(q.frees) == 0 && q.starting == 0 {
		return Never
	}
	if n := float64(len(q.frees)); n > 0 {
		q.weight = max(1, float64(c.Ending)/n)
	}
	return min(longest, q.front(float64(max(0, c.Queued)))+Handover)
}

// line is a queue before the slots of a kind. From when it is first free on,
// each slot serves one turn after the other.
type line struct {
	turn time.Duration
	// frees is when the slots free that are held now, each of which stands
	// for weight of them.
	frees  []time.Duration
	weight float64
	// starting is how many slots are free now, and about to be taken for a
	// turn.
	starting float64
}

// front is the first time by which more turns can have begun than pods are
// ahead; at most longest.
func (l line) front(ahead float64) time.Duration {
	lo := longest
	if l.starting > 0 {
		lo = l.turn
	}
	for _, f := range l.frees {
		lo = min(lo, f)
	}
	// The slot that frees first could serve them all by itself.
	hi := longest
	if alone := float64(lo) + ahead*float64(l.turn); alone < float64(longest) {
		hi = time.Duration(alone)
	}
	for lo < hi {
		if mid := lo + (hi-lo)/2; l.begun(mid) > ahead {
			hi = mid
		} else {
			lo = mid + 1
		}
	}
	return min(lo, longest)
}

// begun is how many turns can have begun by t.
func (l line) begun(t time.Duration) float64 {
	var held float64
	for _, f := range l.frees {
		held += l.turns(t - f)
	}
	return held*l.weight + l.starting*l.turns(t-l.turn)
}

// turns is how many turns a slot can have begun that has been free for d.
func (l line) turns(d time.Duration) float64 {
	if d < 0 {
		return 0
	}
	return float64(1 + d/l.turn)
}

// remaining is how much longer a pod is expected to run. One that has outlived
// its estimate is expected to run as long again: the longer it does, the less
// the estimate is worth.
func remaining(r inventory.Running, typical time.Duration) time.Duration {
	service := r.Service
	if service <= 0 {
		service = typical
	}
	service, elapsed := min(service, longest), min(max(0, r.Elapsed), longest)
	if elapsed == 0 {
		return service + Handover // not started yet
	}
	if elapsed < service {
		return service - elapsed
	}
	return elapsed
}
