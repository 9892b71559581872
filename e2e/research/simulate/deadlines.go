package main

import (
	"fmt"
	"io"
	"runtime"
	"strings"
	"text/tabwriter"
	"time"

	"golang.org/x/sync/errgroup"
	"gonum.org/v1/plot/plotter"

	"heteroaccel.io/e2e/research/bound"
	"heteroaccel.io/e2e/research/fleet"
	"heteroaccel.io/e2e/research/simulate/world"
)

// slacks are deadlines from tight to loose, each in parts of what a type's fastest run
// takes, start-up included.
var slacks = []float64{1.5, 2, 3, 5}

// regardless are the contestants that know no deadline, and heeding the one that does.
var (
	regardless = []contestant{
		{name: "idle-first", policy: "idle-first"},
		{name: "earliest-finish", policy: "earliest-finish"},
		{name: "priced, readmit", policy: "priced-finish", readmit: true},
	}
	heeding = contestant{policy: "priced-finish", readmit: true}
)

// deadlines is what a deadline costs and gains, from tight to none, for the paper's
// cameras and for arrivals from light load to overload.
func deadlines(s settings, out io.Writer) error {
	f := fleet.Paper(20)
	b, err := f.Problem(startup).Solve()
	if err != nil {
		return err
	}
	for _, cameras := range []int{4, 8} {
		c := world.Config{Fleet: f, Cameras: cameras, Spread: spread, Seed: s.seed, Horizon: turns(f, b, 40*float64(s.turns))}
		c.Warmup = c.Horizon / 10
		what := fmt.Sprintf("the paper's fleet, service times × 20, %d cameras in a closed loop", cameras)
		if err := frontiers(s, what, fmt.Sprintf("deadlines-cameras-%d", cameras), c, b, out); err != nil {
			return err
		}
	}
	if f, err = fleet.New("random", s.slots, s.types, s.seed); err != nil {
		return err
	}
	if b, err = f.Problem(startup).Solve(); err != nil {
		return err
	}
	for _, load := range s.loads {
		c := world.Config{Fleet: f, Rate: load * b.Rate, Spread: spread, Seed: s.seed, Horizon: turns(f, b, float64(s.turns))}
		c.Warmup = c.Horizon / 2
		what := fmt.Sprintf("mix \"random\", %d devices, arrivals at %.2f of the bound", s.slots, load)
		if err := frontiers(s, what, fmt.Sprintf("deadlines-random-%g", load), c, b, out); err != nil {
			return err
		}
	}
	return nil
}

// urgent are the parts of the pods that have a deadline.
var urgent = []float64{.2, 1}

// frontiers are the frontier where some pods have deadlines, and where all have.
func frontiers(s settings, what, file string, c world.Config, b bound.Bound, out io.Writer) error {
	for _, c.Urgent = range urgent {
		part := fmt.Sprintf("%.0f", 100*c.Urgent)
		if err := frontier(s, what+"; "+part+" % of the pods have one", file+"-"+part, c, b, out); err != nil {
			return err
		}
	}
	return nil
}

// frontier prints and draws throughput against p99 and missed deadlines, for each slack.
func frontier(s settings, what, file string, c world.Config, b bound.Bound, out io.Writer) error {
	entries := regardless
	for _, slack := range slacks {
		p := heeding
		p.name = fmt.Sprintf("within × %g", slack)
		entries = append(entries[:len(entries):len(entries)], p)
	}
	rounds := make([]round, len(entries))
	var group errgroup.Group
	group.SetLimit(runtime.GOMAXPROCS(0))
	for i, p := range entries {
		group.Go(func() (err error) {
			c := c
			if k := i - len(regardless); k >= 0 {
				c.Slack = slacks[k]
			}
			rounds[i], err = play(p, c, b)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	fmt.Fprintf(out, "\nDeadlines, in parts of the fastest run: %s; bound %.2f/s\n", what, b.Rate)
	t := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	columns := []string{"policy", "runs/s", "of the bound", "median", "p99", "moved"}
	for _, slack := range slacks {
		columns = append(columns, fmt.Sprintf("over × %g", slack))
	}
	fmt.Fprintln(t, strings.Join(columns, "\t")+"\t")
	for _, r := range rounds {
		columns := []string{r.name, fmt.Sprintf("%.2f", r.Throughput), percent(r.Throughput / b.Rate), seconds(r.Median), seconds(r.P99), fmt.Sprint(r.Moves)}
		for _, slack := range slacks {
			columns = append(columns, percent(r.Missed(slack)))
		}
		fmt.Fprintln(t, strings.Join(columns, "\t")+"\t")
	}
	if err := t.Flush(); err != nil {
		return err
	}
	return drawFrontier(s.out, file, what, rounds, b)
}

// drawFrontier draws p99 against throughput: a point of each that knows no deadline, and a
// line through those that do, from none to tight.
func drawFrontier(dir, file, what string, rounds []round, b bound.Bound) error {
	picture := chart{title: what, x: "completions, in parts of the bound", y: "99th percentile of latency, s", logarithmic: true}
	point := func(r round) plotter.XY {
		return plotter.XY{X: r.Throughput / b.Rate, Y: float64(r.P99) / float64(time.Second)}
	}
	known := line{name: "deadlines: none to tight"}
	for i, r := range rounds {
		if i < len(regardless) {
			picture.lines = append(picture.lines, line{name: r.name, points: plotter.XYs{point(r)}})
		}
	}
	known.points = append(known.points, point(rounds[len(regardless)-1]))
	for i := len(rounds) - 1; i >= len(regardless); i-- {
		known.points = append(known.points, point(rounds[i]))
	}
	picture.lines = append(picture.lines, known)
	return picture.write(dir, file)
}

func percent(part float64) string { return fmt.Sprintf("%.1f %%", 100*part) }
