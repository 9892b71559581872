package upgrade

import (
	"time"

	"heteroaccel.io/pkg/accel"
	"heteroaccel.io/pkg/inventory"
)

// Rules are the limits of upgrades. A server that a rollout displaced is moved as soon as
// what it was to get is idle; the others, which ask for it, have to be worth it.
type Rules struct {
	// Factor is how many times as long a run must take on the kind of a server that asks
	// as on the faster one.
	Factor float64
	// Uptime is how long such a server has to have been Ready, and Idle how long the faster
	// kind idle.
	Uptime, Idle time.Duration
	// Ready is how long the pod on the faster kind may take to be Ready.
	Ready time.Duration
	// PerOwner and PerCluster are how many such servers of one Deployment, and of all, are
	// moved within an hour.
	PerOwner, PerCluster int
	// Backoff is how long the servers of a Deployment are left alone after a move of one
	// failed, doubling with each further failure up to an hour. For a server that asks it is
	// so, too, after it moved, doubling with each further move of the last day up to
	// maxSettled: a device that comes and goes is not worth to be followed each time.
	Backoff time.Duration
}

// Default are the rules without any flag.
var Default = Rules{Factor: 1.5, Uptime: 10 * time.Minute, Idle: 30 * time.Second, Ready: 5 * time.Minute, PerOwner: 4, PerCluster: 60, Backoff: time.Minute}

// Faster returns the index of the idle candidate on which a run takes least, of those that to
// allows, if that is worth leaving a kind for; -1 if none is. A server that was displaced,
// from the kind displaced, goes nowhere but there or where a run takes less. Nobody is moved
// to or from where nobody knows how long a run takes.
func (r Rules) Faster(candidates []inventory.Candidate, kind, displaced accel.Kind, to func(accel.Kind) bool) int {
	var now, least time.Duration
	for i := range candidates {
		switch c := &candidates[i]; c.Kind {
		case kind:
			now = c.Service
		case displaced:
			least = c.Service
		}
	}
	best := -1
	for i := range candidates {
		c := &candidates[i]
		if c.Kind == kind || !to(c.Kind) || c.Refused != nil || c.Idle() <= 0 || c.Nodes == 0 || c.Service <= 0 || c.Service >= now {
			continue
		}
		if displaced == "" && float64(now) < r.Factor*float64(c.Service) || displaced != "" && c.Service > least {
			continue
		}
		if best < 0 || c.Service < candidates[best].Service {
			best = i
		}
	}
	return best
}
