// Soak has a cluster of mixed nodes run many pods for minutes, while devices
// fail and come back, pods end and are created, and the webhook recreates those
// that wait. Then it says which pods were lost, and which wait beside a device
// that the scheduler would give them.
//
// Everything random follows from the seed (package plan); how the parts of the
// cluster take turns does not, so that a failure may need more than one run of
// its seed. The judges of the end are the API server and the scheduler: a pod
// that is missing, or that waits, is tried with a twin, pinned by hand to each
// kind it may have.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	"heteroaccel.io/e2e/soak/plan"
)

// settings are what flags say.
type settings struct {
	seed     uint64
	size     plan.Size
	race     bool
	keep     bool
	planOnly bool
	// only are the owners to keep, separated by commas; "" for all.
	only string
	calm bool
}

func main() {
	s, err := parse(os.Args[1:], os.Stderr)
	if err != nil {
		os.Exit(2) // flag has said why
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	began := time.Now()
	failures, err := run(ctx, s, os.Stdout)
	switch {
	case ctx.Err() != nil:
		fmt.Println("\nstopped; nothing is left running")
	case err != nil:
		fmt.Fprintln(os.Stderr, "the soak could not be finished:", err)
		os.Exit(1)
	case failures > 0:
		fmt.Printf("\nFAIL: %d failures after %s; again with: %s\n", failures, time.Since(began).Round(time.Second), s.again())
		os.Exit(1)
	default:
		fmt.Printf("\nok after %s\n", time.Since(began).Round(time.Second))
	}
}

// parse reads the command line; what is wrong with it has been written to out.
func parse(args []string, out io.Writer) (settings, error) {
	var s settings
	fs := flag.NewFlagSet("soak", flag.ContinueOnError)
	fs.SetOutput(out)
	fs.Uint64Var(&s.seed, "seed", 1, "everything random follows from it")
	fs.DurationVar(&s.size.Duration, "duration", 5*time.Minute, "how long things happen")
	fs.IntVar(&s.size.Pods, "pods", 200, "how many pods there are to be; a tenth as many nodes")
	fs.BoolVar(&s.race, "race", false, "run the programs under the race detector")
	fs.BoolVar(&s.keep, "keep", false, "leave the work directory, with the logs")
	fs.StringVar(&s.only, "only", "", "keep only these owners of the plan, separated by commas, to cut a failure down")
	fs.BoolVar(&s.calm, "calm", false, "have nothing fail")
	fs.BoolVar(&s.planOnly, "plan", false, "only print what would be done")
	if err := fs.Parse(args); err != nil {
		return s, err
	}
	if s.size.Duration < 10*time.Second || s.size.Pods < 20 || fs.NArg() > 0 {
		err := fmt.Errorf("-duration must be at least 10s, -pods at least 20, and nothing else is understood")
		fmt.Fprintln(out, err)
		return s, err
	}
	return s, nil
}

// again is the command that repeats a soak.
func (s settings) again() string {
	command := fmt.Sprintf("go run ./e2e/soak -seed %d -duration %s -pods %d", s.seed, s.size.Duration, s.size.Pods)
	if s.only != "" {
		command += " -only " + s.only
	}
	if s.calm {
		command += " -calm"
	}
	return command
}
