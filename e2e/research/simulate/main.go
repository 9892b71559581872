// Simulate compares the policies in virtual time: what it costs to begin without
// service times, the paper's closed loop, open loops of mixes of inferences under
// rising load, failing nodes, wrong service times, and fleets that grow. It
// prints tables and writes plots.
//
// What it prints of virtual time depends on the seed alone; what a decision
// costs, on the machine.
package main

import (
	"flag"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"heteroaccel.io/e2e/research/fleet"
)

// settings are what flags say.
type settings struct {
	seed                uint64
	slots, types, turns int
	draws               int
	mixes               []string
	loads               []float64
	largest             int
	day, ready, failing time.Duration
	parts               []string
	out                 string
}

func main() {
	s := settings{}
	mixes, loads, names := strings.Join(fleet.Mixes(), ","), "0.3,0.5,0.8,0.9,0.95,1.2", strings.Join(partNames(), ",")
	flag.Uint64Var(&s.seed, "seed", 1, "everything random follows from it")
	flag.IntVar(&s.slots, "devices", 400, "devices in the open loops")
	flag.IntVar(&s.types, "types", 50, "inference types in the open loops")
	flag.IntVar(&s.turns, "turns", 40, "how often every device serves on average; the first half is not measured")
	flag.IntVar(&s.largest, "largest", 100_000, "the largest fleet of those that grow")
	flag.IntVar(&s.draws, "draws", 20, "fleets that regret is the mean of")
	flag.DurationVar(&s.day, "day", 24*time.Hour, "for how long servers are run")
	flag.DurationVar(&s.failing, "failing", 12*time.Hour, "mean time between failures of a node of the servers' fleets, 0 for never")
	flag.DurationVar(&s.ready, "ready", 2*time.Second, "how long a server takes to be Ready")
	flag.StringVar(&names, "parts", names, "what to simulate")
	flag.StringVar(&mixes, "mixes", mixes, "mixes of inferences")
	flag.StringVar(&loads, "loads", loads, "arrivals, in parts of the bound")
	flag.StringVar(&s.out, "out", "bin/simulate", "directory for the plots")
	flag.Parse()
	if s.draws < 1 {
		fmt.Fprintf(os.Stderr, "-draws: %d is not a positive number\n", s.draws)
		os.Exit(2)
	}
	s.mixes, s.parts = strings.Split(mixes, ","), strings.Split(names, ",")
	for _, name := range s.parts {
		if !slices.Contains(partNames(), name) {
			fmt.Fprintf(os.Stderr, "-parts: there is no %q: choose of %s\n", name, strings.Join(partNames(), ","))
			os.Exit(2)
		}
	}
	for l := range strings.SplitSeq(loads, ",") {
		load, err := strconv.ParseFloat(l, 64)
		if err != nil || !(load > 0) {
			fmt.Fprintf(os.Stderr, "-loads: %q is not a positive number\n", l)
			os.Exit(2)
		}
		s.loads = append(s.loads, load)
	}
	began := time.Now()
	if err := run(s, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "the simulation failed:", err)
		os.Exit(1)
	}
	fmt.Printf("\n%s; plots in %s\n", time.Since(began).Round(time.Second), s.out)
}
