// Bench measures how many pods the stock kube-scheduler binds a second with HeteroAccel,
// and with the same pods written by hand and without it, on a control plane of its own
// whose nodes are simulated.
//
// Rounds take turns, so that whatever else the machine does hits both ways alike, and
// only ratios of rounds that followed each other are compared (package report). The
// scheduler is stopped while a round's pods are created, and then let go.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"heteroaccel.io/e2e/bench/report"
)

// settings are what flags say.
type settings struct {
	nodes   []int
	pods    int
	rounds  int
	latency int
	loads   []string
	json    string
	base    string
}

func main() {
	s, err := parse(os.Args[1:], os.Stderr)
	if err != nil {
		os.Exit(2) // flag has said why
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	run := measure
	if s.base != "" {
		run = compare
	}
	switch err := run(ctx, s, os.Stdout); {
	case ctx.Err() != nil:
		fmt.Println("\nstopped; nothing is left running")
	case errors.Is(err, errWorse):
		os.Exit(1)
	case err != nil:
		fmt.Fprintln(os.Stderr, "the benchmark could not be finished:", err)
		os.Exit(1)
	}
}

// parse reads the command line; what is wrong with it has been written to out.
func parse(args []string, out io.Writer) (settings, error) {
	var s settings
	var nodes, loads string
	var names []string
	for _, l := range everyLoad {
		names = append(names, l.name)
	}
	fs := flag.NewFlagSet("bench", flag.ContinueOnError)
	fs.SetOutput(out)
	fs.StringVar(&nodes, "nodes", "50,250", "how many nodes there are, one run after another")
	fs.IntVar(&s.pods, "pods", 1000, "how many pods a round creates")
	fs.IntVar(&s.rounds, "rounds", 3, "how many rounds each load has, each way")
	fs.IntVar(&s.latency, "latency", 50, "how many pods are created one at a time, each way, 0 for none")
	fs.StringVar(&loads, "loads", strings.Join(names, ","), "which loads")
	fs.StringVar(&s.json, "json", "", "write what was measured to this file, too")
	fs.StringVar(&s.base, "base", "", "compare with this revision of the repository, and fail where something got worse")
	if err := fs.Parse(args); err != nil {
		return s, err
	}
	wrong := func(format string, args ...any) (settings, error) {
		err := fmt.Errorf(format, args...)
		fmt.Fprintln(out, err)
		return s, err
	}
	for word := range strings.SplitSeq(nodes, ",") {
		n, err := strconv.Atoi(strings.TrimSpace(word))
		if err != nil || n < 1 {
			return wrong("-nodes must be numbers above 0, separated by commas, not %q", word)
		}
		s.nodes = append(s.nodes, n)
	}
	for word := range strings.SplitSeq(loads, ",") {
		if !slices.Contains(names, word) {
			return wrong("there is no load %q: -loads takes some of %s", word, strings.Join(names, ","))
		}
		s.loads = append(s.loads, word)
	}
	if s.pods < 2 || s.rounds < 1 || s.latency < 0 || fs.NArg() > 0 {
		return wrong("-pods must be at least 2, -rounds at least 1, -latency at least 0, and nothing else is understood")
	}
	return s, nil
}

// measure runs all rounds of this tree and prints what they came to.
func measure(ctx context.Context, s settings, out io.Writer) error {
	var run report.Run
	err := s.each(func(nodes int, late bool) error {
		return at(ctx, out, nodes, s.pods, late, func(x *site) error { return x.measure(ctx, s, &run) })
	})
	if err != nil {
		return err
	}
	fmt.Fprintln(out)
	if err := run.Write(out); err != nil {
		return err
	}
	return s.save(run)
}

// each calls do for each number of nodes, and each way of binding that there are loads of.
func (s settings) each(do func(nodes int, late bool) error) error {
	for _, nodes := range s.nodes {
		for _, late := range []bool{false, true} {
			if len(loadsOf(s.loads, late)) == 0 {
				continue
			}
			if err := do(nodes, late); err != nil {
				return err
			}
		}
	}
	return nil
}

// save writes the run as JSON.
func (s settings) save(run report.Run) error {
	if s.json == "" {
		return nil
	}
	data, err := json.MarshalIndent(run, "", "  ")
	if err == nil {
		err = os.MkdirAll(filepath.Dir(s.json), 0o755)
	}
	if err == nil {
		err = os.WriteFile(s.json, append(data, '\n'), 0o644)
	}
	if err != nil {
		return fmt.Errorf("write what was measured: %w", err)
	}
	return nil
}
