package policy

import (
	"math"
	"slices"
	"time"

	"heteroaccel.io/pkg/inventory"
)

// Never is the wait for a kind that is not expected to become free.
const Never = time.Duration(math.MaxInt64)

const (
	// Handover is the time between the end of one pod and the start of the next
	// one's container on the same device: the end is reported, the next pod
	// scheduled, its container started. It takes about a second, which is why an
	// idle device that is somewhat slower beats a faster busy one.
	Handover = time.Second
	// unknownService is the service time when no candidate has one.
	unknownService = time.Second
	// maxEstimate bounds every estimate, so that sums cannot overflow.
	maxEstimate = 365 * 24 * time.Hour
)

// estimate gives each candidate its expected wait and finish, and whether that is late.
func estimate(candidates []inventory.Candidate) []Ranked {
	typical := typicalService(candidates)
	ranked := make([]Ranked, len(candidates))
	for i, c := range candidates {
		service := c.Service
		if service <= 0 {
			service = typical
		}
		service = min(service, maxEstimate)
		r := Ranked{Candidate: c, Index: i, Wait: wait(c, service), Finish: Never}
		if r.Wait != Never {
			r.Finish = r.Wait + service
		}
		r.Late = c.Refused == nil && c.Nodes > 0 && c.Deadline.Exceeded(r.Finish)
		ranked[i] = r
	}
	return ranked
}

// typicalService is the median of the known service times, the lower of two in
// the middle: it neither favours nor starves a kind that was never timed, and one
// absurd hint does not change it.
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

// wait estimates how long until one more pod can start: the running pods end one
// after another, and each pod that waits already takes the first place that
// becomes free, for as long as one run of ours takes.
func wait(c inventory.Candidate, service time.Duration) time.Duration {
	if c.Idle() > 0 {
		return 0
	}
	q := queue{service: service + Handover, starting: float64(max(0, c.Claimed)), weight: 1}
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
	return min(maxEstimate, q.firstStart(float64(max(0, c.Queued)))+Handover)
}

// queue is the queue for a kind, of as many servers as pods fit. Once a server is
// free, it serves one pod after another.
type queue struct {
	// service is how long a server is taken by one pod.
	service time.Duration
	// frees is when the servers become free that are busy now. Each stands for
	// weight servers.
	frees  []time.Duration
	weight float64
	// starting is how many servers are free now, and about to be taken.
	starting float64
}

// firstStart is the first time by which more pods can have started than are
// ahead; at most maxEstimate.
func (q queue) firstStart(ahead float64) time.Duration {
	lo := maxEstimate
	if q.starting > 0 {
		lo = q.service
	}
	for _, f := range q.frees {
		lo = min(lo, f)
	}
	// The server that is free first could serve them all by itself.
	hi := maxEstimate
	if alone := float64(lo) + ahead*float64(q.service); alone < float64(maxEstimate) {
		hi = time.Duration(alone)
	}
	for lo < hi {
		if mid := lo + (hi-lo)/2; q.started(mid) > ahead {
			hi = mid
		} else {
			lo = mid + 1
		}
	}
	return min(lo, maxEstimate)
}

// started is how many pods can have started by t.
func (q queue) started(t time.Duration) float64 {
	var held float64
	for _, f := range q.frees {
		held += q.startedIn(t - f)
	}
	return held*q.weight + q.starting*q.startedIn(t-q.service)
}

// startedIn is how many pods can have started on a server that became free d ago.
func (q queue) startedIn(d time.Duration) float64 {
	if d < 0 {
		return 0
	}
	return float64(1 + d/q.service)
}

// remaining is how much longer a pod is expected to run. One that has run longer
// than estimated is expected to run as long again: the estimate counts for less
// the longer it runs.
func remaining(r inventory.Running, typical time.Duration) time.Duration {
	if r.Ended {
		return 0
	}
	service := r.Service
	if service <= 0 {
		service = typical
	}
	service, elapsed := min(service, maxEstimate), min(max(0, r.Elapsed), maxEstimate)
	if elapsed == 0 {
		return service + Handover // not started yet
	}
	if elapsed < service {
		return service - elapsed
	}
	return elapsed
}
