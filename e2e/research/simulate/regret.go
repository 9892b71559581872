package main

import (
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"runtime"
	"text/tabwriter"
	"time"

	"golang.org/x/sync/errgroup"

	"heteroaccel.io/e2e/research/fleet"
	"heteroaccel.io/e2e/research/simulate/world"
	"heteroaccel.io/pkg/servicetime"
)

// What a regret is measured on: the first runs of a few inferences on a small
// site, drawn anew several times.
const (
	regretRuns  = 200
	regretSlots = 12
	regretTypes = 4
)

// learnDelay is until the product knows of a run that ended: its profile's
// status is written every two seconds.
const learnDelay = 2 * time.Second

// knowledge is what a profile says of service times at the start.
type knowledge struct {
	name string
	// learning for a draw of a mix.
	learning func(f *fleet.Fleet, seed uint64) *world.Learning
}

var knowledges = []knowledge{
	{"no hints", func(*fleet.Fleet, uint64) *world.Learning { return &world.Learning{} }},
	{"wrong hints", wrongHints},
	{"right hints", func(f *fleet.Fleet, _ uint64) *world.Learning {
		return &world.Learning{Hint: func(typ, kind int) time.Duration { return f.Types[typ].Service[kind] }}
	}},
	{"no hints, plain", func(*fleet.Fleet, uint64) *world.Learning { return &world.Learning{Plain: true} }},
	{"wrong hints, plain", func(f *fleet.Fleet, seed uint64) *world.Learning {
		l := wrongHints(f, seed)
		l.Plain = true
		return l
	}},
}

// wrongHints are off by a factor, of which one in three is above 5 or below a
// fifth.
func wrongHints(f *fleet.Fleet, seed uint64) *world.Learning {
	r := rand.New(rand.NewPCG(seed, 5))
	hints := make([][]time.Duration, len(f.Types))
	for i, t := range f.Types {
		for _, s := range t.Service {
			hints[i] = append(hints[i], time.Duration(float64(s)*math.Exp(math.Log(5)*r.NormFloat64())))
		}
	}
	return &world.Learning{Hint: func(typ, kind int) time.Duration { return hints[typ][kind] }}
}

// regretted is what not knowing came to, over all draws.
type regretted struct {
	// known and mean are the mean times from arrival to end, with the times
	// known from the start and without.
	known, mean time.Duration
	// trials is the part of the runs that were spent on learning.
	trials float64
}

// regret is by how much longer everything took, in parts.
func (r regretted) regret() float64 { return r.mean.Seconds()/r.known.Seconds() - 1 }

// regretOf runs a mix under a load, each draw once with all times known and
// once with what k says.
func regretOf(s settings, mix string, load float64, k knowledge) (regretted, error) {
	type draw struct{ known, learned world.Result }
	draws := make([]draw, s.draws)
	var group errgroup.Group
	group.SetLimit(runtime.GOMAXPROCS(0))
	for i := range draws {
		group.Go(func() error {
			seed := s.seed + uint64(i)
			f, err := fleet.New(mix, regretSlots, regretTypes, seed)
			if err != nil {
				return err
			}
			b, err := f.Problem(startup).Solve()
			if err != nil {
				return err
			}
			c := world.Config{Fleet: f, Rate: load * b.Rate, Spread: spread, Seed: seed, Arrivals: regretRuns, Horizon: turns(f, b, 1000*regretRuns)}
			for _, learning := range []*world.Learning{nil, k.learning(f, seed)} {
				if learning != nil {
					learning.Delay = learnDelay
				}
				c.Learning = learning
				r, err := play(contestant{policy: "priced-finish", readmit: true}, c, b)
				if err != nil {
					return err
				}
				if learning == nil {
					draws[i].known = r.Result
				} else {
					draws[i].learned = r.Result
				}
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return regretted{}, err
	}
	var sum regretted
	for _, d := range draws {
		sum.known += d.known.Mean / time.Duration(s.draws)
		sum.mean += d.learned.Mean / time.Duration(s.draws)
		sum.trials += float64(d.learned.Trials) / regretRuns / float64(s.draws)
	}
	return sum, nil
}

// regrets shows what it costs to begin without times, or with wrong ones.
func regrets(s settings, out io.Writer) error {
	fmt.Fprintf(out, "\nRegret: by how much longer the first %d runs take than with all times known from the start, priced-finish with re-admission;\n"+
		"%d devices, %d inferences, mean of %d draws. No hints: the profile's order alone, each kind taken to be %d times as slow as the one\n"+
		"before it. Wrong hints: off by a factor of 5 (sigma). Plain: with neither the prior nor trials. In brackets, the part of the runs that were trials.\n",
		regretRuns, regretSlots, regretTypes, s.draws, servicetime.Step)
	t := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprint(t, "mix\tload\tknown\t")
	for _, k := range knowledges {
		fmt.Fprintf(t, "%s\t", k.name)
	}
	fmt.Fprintln(t)
	for _, mix := range s.mixes {
		for _, load := range []float64{.3, .8} {
			for i, k := range knowledges {
				r, err := regretOf(s, mix, load, k)
				if err != nil {
					return err
				}
				if i == 0 {
					fmt.Fprintf(t, "%s\t%.1f\t%s\t", mix, load, seconds(r.known))
				}
				fmt.Fprintf(t, "%+.0f %% (%.0f %%)\t", 100*r.regret(), 100*r.trials)
			}
			fmt.Fprintln(t)
		}
	}
	return t.Flush()
}
