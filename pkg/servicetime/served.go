package servicetime

import (
	"math"
	"slices"
	"time"
)

// ServedRuns is how many inferences of a server make one run of an Estimate: with a run for
// each, 2.4 ms and 3.4 ms would both be Shortest.
const ServedRuns = 1000

// ExpectServed is what to expect of an inference on a server of each kind: what servers
// report, where that can be relied on, and elsewhere what is expected of a run there,
// in proportion to where both are known. expected and hints are those of ExpectAll, served
// of each kind the readings that servers made, of ServedRuns inferences each.
//
// A hint is of a run, which may load a model first, so it bounds no time of a server.
// But it bounds how the kinds compare: with a hint, a kind is at most HintFactor times as
// slow or as fast beside the others as ExpectAll has it, until Agreeing namespaces
// measured more, or less.
func ExpectServed(expected []Expected, hints []time.Duration, served []Measured) []Expected {
	var ratios []float64
	for i, m := range served {
		if m.Reliable() {
			ratios = append(ratios, float64(m.Time())/float64(expected[i].Time))
		}
	}
	if len(ratios) == 0 {
		return expected
	}
	slices.Sort(ratios)
	scale := ratios[(len(ratios)-1)/2]
	known, relative := make([]time.Duration, len(expected)), make([]float64, len(expected))
	for i, e := range expected {
		relative[i] = e.Time.Seconds()
		if !served[i].Reliable() {
			continue
		}
		var bound time.Duration
		if hints[i] > 0 {
			bound = time.Duration(min(float64(e.Time)*scale, float64(Longest)))
		}
		known[i] = max(served[i].Bounded(bound)/ServedRuns, 1)
	}
	out := slices.Clone(expected)
	for i, t := range Complete(known, relative) {
		out[i].Time, out[i].Known = t, known[i]
		if known[i] > 0 {
			out[i].Basis = Served
		}
	}
	return out
}

// ServedRun is a run of ServedRuns inferences, each of which took so long.
func ServedRun(each time.Duration) time.Duration {
	return time.Duration(min(float64(each)*ServedRuns, math.MaxInt64/2))
}
