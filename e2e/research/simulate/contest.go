package main

import (
	"fmt"
	"runtime"
	"time"

	"golang.org/x/sync/errgroup"

	"heteroaccel.io/e2e/research/bound"
	"heteroaccel.io/e2e/research/fleet"
	"heteroaccel.io/e2e/research/simulate/world"
	"heteroaccel.io/pkg/accel"
	"heteroaccel.io/pkg/policy"
	"heteroaccel.io/webhook/readmit/choice"
)

// contestant is a policy, and what goes with it.
type contestant struct {
	name, policy string
	pinned       accel.Kind
	readmit      bool
}

var contestants = []contestant{
	{name: "GPU only", policy: "earliest-finish", pinned: "GPU"},
	{name: "idle-first", policy: "idle-first"},
	{name: "earliest-finish", policy: "earliest-finish"},
	{name: "priced-finish", policy: "priced-finish"},
	{name: "earliest, readmit", policy: "earliest-finish", readmit: true},
	{name: "priced, readmit", policy: "priced-finish", readmit: true},
}

// startup is how long a pod holds its device before its container runs.
const startup = time.Second

// readmission is what the product does to a Job's pod unless it is told
// otherwise, in virtual time.
var readmission = world.Readmit{
	Rules: choice.Rules{Margin: 250 * time.Millisecond, Backoff: 5 * time.Second, Patience: 5 * time.Minute},
	Delay: time.Second,
}

// round is one contestant's result, with what it is measured by.
type round struct {
	contestant
	world.Result
	// Best is what could have been completed: what was offered, or the bound.
	Best float64
	Load float64
}

func (r round) share() float64 { return r.Throughput / r.Best }

// play runs one contestant. c has everything but the policy.
func play(p contestant, c world.Config, b bound.Bound) (round, error) {
	choose, err := policy.Named(p.policy)
	if err != nil {
		return round{}, err
	}
	c.Policy, c.Pinned, c.Startup, c.Clock = choose, p.pinned, startup, time.Now
	if p.readmit {
		c.Readmit = &readmission
	}
	result, err := world.Run(c)
	if err != nil {
		return round{}, fmt.Errorf("%s: %w", p.name, err)
	}
	r := round{contestant: p, Result: result, Best: b.Rate, Load: c.Rate / b.Rate}
	if c.Cameras == 0 {
		r.Best = r.Offered
		if r.Load > 1 {
			r.Best, err = ofTheSameMix(c.Fleet, result.Completed)
		}
	}
	return r, err
}

// playAll runs every contestant in every one of some configurations, as many
// at a time as there are processors, and returns them in order.
func playAll(cs []world.Config, b bound.Bound) ([]round, error) {
	rounds := make([]round, len(cs)*len(contestants))
	var group errgroup.Group
	group.SetLimit(runtime.GOMAXPROCS(0))
	for i := range rounds {
		group.Go(func() (err error) {
			rounds[i], err = play(contestants[i%len(contestants)], cs[i/len(contestants)], b)
			return err
		})
	}
	return rounds, group.Wait()
}

// ofTheSameMix bounds the rate at which what was completed could have been. In
// overload that need not be what was offered: work that is easier to serve is
// served sooner.
func ofTheSameMix(f *fleet.Fleet, completed []int) (float64, error) {
	p := f.Problem(startup)
	var sum float64
	for _, n := range completed {
		sum += float64(n)
	}
	for i, n := range completed {
		p.Share[i] = float64(n) / sum
	}
	b, err := p.Solve()
	return b.Rate, err
}

// turns is the time in which every slot serves so many of the best mix.
func turns(f *fleet.Fleet, b bound.Bound, n float64) time.Duration {
	return time.Duration(n * float64(f.Slots()) / b.Rate * float64(time.Second))
}
