// Experiment repeats the paper's experiment on a local cluster that it builds
// and starts itself: nodes G, F and N, and four cameras that each repeat an
// inference of their own. A has everything pinned to the GPU, on a cluster
// without HeteroAccel; B lets every pod have any accelerator; with -connector
// there is a C, in which the cameras ask the connector instead of creating pods.
// Then requests come at random, at rates that are parts of what the cluster can
// do at most. With -deadlines each B is repeated with each of them, and one table more
// says how many runs miss them.
//
// With BINDING=late there is no A. Everything of B is done twice: bound early, with the
// devices of device plugins, and bound late, with the same devices served by the
// exporters' DRA driver. One table more compares the two.
//
// The pods, the scheduler and all programs are the real ones. What a container
// would do is simulated: it runs as long as the paper's Table 4 says for its
// accelerator, times a factor that keeps the start-up of pods from drowning
// it. How long pods take to start is measured and printed.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"heteroaccel.io/e2e/narrate"
	"heteroaccel.io/pkg/policy"
)

// settings are what flags say.
type settings struct {
	stretch  float64
	spread   float64
	interval time.Duration
	warmup   time.Duration
	policies []string
	loads    []float64
	seed     uint64
	// connector has each B repeated by cameras that ask the connector.
	connector bool
	// deadlines has each B repeated with each of them on all pods.
	deadlines []time.Duration
	// late has each B done once more with pods that are bound late.
	late bool
}

func main() {
	s, err := parse(os.Args[1:], os.Stderr)
	if err != nil {
		os.Exit(2) // flag has said why
	}
	if s.late, err = narrate.LateBinding(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	began := time.Now()
	err = repeat(ctx, s, os.Stdout)
	switch {
	case err == nil:
		fmt.Printf("\nThe experiment took %s.\n", time.Since(began).Round(time.Second))
	case ctx.Err() != nil:
		fmt.Println("\nstopped; nothing is left running")
	default:
		fmt.Fprintln(os.Stderr, "the experiment failed:", err)
		os.Exit(1)
	}
}

// parse reads the command line; what is wrong with it has been written to out.
func parse(args []string, out io.Writer) (settings, error) {
	var s settings
	policies, loads, deadlines := policy.Default, "0.5,0.8,0.95", ""
	fs := flag.NewFlagSet("experiment", flag.ContinueOnError)
	fs.SetOutput(out)
	fs.Float64Var(&s.stretch, "stretch", 20, "factor on the paper's service times")
	fs.Float64Var(&s.spread, "spread", 0.3, "how much single runs differ: sigma of the logarithm")
	fs.DurationVar(&s.interval, "interval", 3*time.Minute, "how long is measured, each time")
	fs.DurationVar(&s.warmup, "warmup", 0, "how long is waited before that; 0 for the longest usual run")
	fs.StringVar(&policies, "policies", policies, "the webhook's policies to run B with, separated by commas")
	fs.StringVar(&loads, "loads", loads, "rates of the random arrivals, in parts of the bound; none when empty")
	fs.StringVar(&deadlines, "deadlines", deadlines, "deadlines to repeat each B with, on all pods, such as 7s,30s; none when empty")
	fs.BoolVar(&s.connector, "connector", false, "after each B, have the four cameras ask the connector for a session for each inference: C")
	fs.Uint64Var(&s.seed, "seed", 1, "everything random follows from it")
	if err := fs.Parse(args); err != nil {
		return s, err
	}
	fail := func(format string, args ...any) (settings, error) {
		err := fmt.Errorf(format, args...)
		fmt.Fprintln(out, err)
		return s, err
	}
	if !(s.stretch > 0) || !(s.spread >= 0) || s.interval <= 0 || s.warmup < 0 || fs.NArg() > 0 {
		return fail("-stretch and -interval must be positive, -spread and -warmup not negative, and nothing else is understood")
	}
	for name := range split(policies) {
		if _, err := policy.Named(name); err != nil {
			return fail("-policies: %w", err)
		}
		s.policies = append(s.policies, name)
	}
	for text := range split(loads) {
		load, err := strconv.ParseFloat(text, 64)
		if err != nil || !(load > 0 && load < 1) {
			return fail("-loads: %q is not a part of the bound: give numbers between 0 and 1, such as 0.8", text)
		}
		s.loads = append(s.loads, load)
	}
	for text := range split(deadlines) {
		d, err := time.ParseDuration(text)
		if err != nil || d <= 0 {
			return fail("-deadlines: %q is not a duration above zero: give some such as 7s", text)
		}
		s.deadlines = append(s.deadlines, d)
	}
	if s.warmup == 0 {
		s.warmup = slices.Max(usual(paper(s.stretch)))
	}
	return s, nil
}

// split yields the parts of a list that is separated by commas.
func split(list string) func(yield func(string) bool) {
	return func(yield func(string) bool) {
		for part := range strings.SplitSeq(list, ",") {
			if part = strings.TrimSpace(part); part != "" && !yield(part) {
				return
			}
		}
	}
}
