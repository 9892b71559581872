// Package world runs a fleet in virtual time: it feeds the product's own
// inventory and asks the product's own policies, and plays the part of the
// users, the API server, the scheduler and the kubelets itself.
//
// A Config enters; a Result leaves, the same one for the same Config however
// fast the machine is. Nothing waits for real time, nothing runs beside it.
//
//	arrival ──▶ Decide: policy ──▶ pod waits ──▶ bound ──▶ started ──▶ ended
//	               ▲                 │    ▲        │          │
//	               │                 ▼    └────────┴──────────┘
//	               └──────────── re-admission   its node fails
//
// The scheduler is one queue for each kind, first come first served: what the
// stock one does with pods of one priority that fit anywhere.
//
// Servers never end, unless their node fails or somebody rolls out their Deployment: which
// of them are moved to a faster kind the product's rules and its ledger say.
package world

import (
	"errors"
	"time"

	"heteroaccel.io/e2e/research/fleet"
	"heteroaccel.io/pkg/accel"
	"heteroaccel.io/pkg/policy"
	"heteroaccel.io/webhook/readmit/choice"
)

// Config is one simulation.
type Config struct {
	Fleet  *fleet.Fleet
	Policy policy.Policy
	// Pinned lets every pod run on this kind only, where it has a variant for
	// it; "" lets the policy choose.
	Pinned accel.Kind

	// Rate is Poisson arrivals a second. With Cameras it is ignored: each
	// camera asks for the next run of its own type as soon as one has ended.
	Rate    float64
	Cameras int

	// Arrivals, when not 0, is after how many they end, if the horizon has not
	// come before.
	Arrivals int
	// Horizon is when arrivals end; only what happens after Warmup is measured.
	// Who arrived before is served to the end, so that nobody's latency is left
	// out, least of all theirs who waited the longest.
	Horizon, Warmup time.Duration
	// Startup is how long a pod holds its device before its container runs.
	Startup time.Duration
	// Spread is the coefficient of variation of a run's service time around
	// its type's; 0 makes all runs alike.
	Spread float64
	// Error is by what factor (the sigma of its logarithm) the expected
	// service times are off.
	Error float64

	// Learning, when not nil, has the expected service times start from hints
	// and be learned from the runs that end. Error does not matter then.
	Learning *Learning

	// Failing is the mean time between failures of a node, 0 for never;
	// Repair is how long one is away.
	Failing, Repair time.Duration
	// Again is how likely a node that came back fails again after AgainAfter on average,
	// and not after Failing.
	Again      float64
	AgainAfter time.Duration

	// Slack, when not 0, gives pods a deadline: so many times what their type's fastest
	// run takes, start-up included. Urgent is the part of the pods that get one, drawn at
	// random; 0 is all.
	Slack, Urgent float64

	// Readmit, when not nil, moves waiting pods to kinds that became idle.
	Readmit *Readmit

	// Serving, when not nil, has servers beside what arrives. They have no deadlines and
	// nothing is learned of them.
	Serving *Serving

	Seed uint64
	// Clock, when not nil, measures what a decision costs.
	Clock func() time.Time
}

// Readmit is when a waiting pod is recreated for another kind.
type Readmit struct {
	choice.Rules
	// Delay is how long it takes until the new pod is there.
	Delay time.Duration
}

// Learning is what is known of service times at the start, and what the product
// makes of it.
type Learning struct {
	// Hint is the profile's hint for a type on a kind, 0 for none; nil for none
	// at all.
	Hint func(typ, kind int) time.Duration
	// Delay is how long it takes until a run that ended counts.
	Delay time.Duration
	// Plain leaves kinds that were never timed to the policy alone: no prior,
	// and no run is spent on learning.
	Plain bool
}

func (c *Config) check() error {
	switch {
	case c.Fleet == nil || len(c.Fleet.Types) == 0:
		return errors.New("a simulation needs a fleet with types")
	case c.Policy == nil:
		return errors.New("a simulation needs a policy")
	case c.Cameras == 0 && !(c.Rate > 0):
		return errors.New("a simulation needs arrivals: set Rate or Cameras")
	case c.Warmup < 0 || c.Horizon <= c.Warmup:
		return errors.New("the horizon must lie behind the warm-up")
	case c.Slack < 0 || c.Urgent < 0 || c.Urgent > 1:
		return errors.New("a deadline cannot lie before the arrival, and a part of the pods lies between 0 and 1")
	case c.Failing > 0 && c.Repair <= 0:
		return errors.New("nodes that fail need a time to repair")
	case c.Again < 0 || c.Again > 1 || c.Again > 0 && c.AgainAfter <= 0:
		return errors.New("nodes that fail again need a probability and a time for it")
	}
	return c.Serving.check(c)
}
