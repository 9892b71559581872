package report

import (
	"maps"
	"slices"
	"time"
)

// Ways in which the pods of a load are created and placed.
const (
	// Ours is with the annotations, the webhook and the extender.
	Ours = "ours"
	// Hand is with what the webhook would have written, by a kube-scheduler that asks no
	// extender.
	Hand = "by hand"
)

// Round is what one load came to, one way.
type Round struct {
	Load  string `json:"load"`
	Way   string `json:"way"`
	Nodes int    `json:"nodes"`
	Pods  int    `json:"pods"`
	// Created and Bound are pods a second: while they were created, with kube-scheduler
	// stopped, and from the first to the last binding.
	Created float64 `json:"created"`
	Bound   float64 `json:"bound"`
	// CPU is the processor time of each program, in milliseconds a pod, from the first
	// creation to the last binding.
	CPU map[string]float64 `json:"cpuMillisecondsPerPod"`
	// Requests are those that the API server answered, a pod, by verb and resource.
	Requests map[string]float64 `json:"requestsPerPod"`
	// Batches are kube-scheduler's attempts to place a pod as the one before it, by result.
	Batches map[string]float64 `json:"batchAttempts"`
	// Revision is what was measured, "" where there is only one.
	Revision string `json:"revision,omitempty"`
}

// Latency is from when a pod was created, alone, until it was bound; Late is where devices
// are served by DRA.
type Latency struct {
	Way   string        `json:"way"`
	Nodes int           `json:"nodes"`
	Late  bool          `json:"late,omitempty"`
	Pods  int           `json:"pods"`
	P50   time.Duration `json:"p50Nanoseconds"`
	P90   time.Duration `json:"p90Nanoseconds"`
	P99   time.Duration `json:"p99Nanoseconds"`
}

// Run is all of a benchmark.
type Run struct {
	Rounds    []Round   `json:"rounds"`
	Latencies []Latency `json:"latencies"`
}

// LatencyOf is that of a way, given how long each pod took, in any order; at least one.
func LatencyOf(way string, nodes int, took []time.Duration) Latency {
	sorted := slices.Sorted(slices.Values(took))
	at := func(part float64) time.Duration { return sorted[min(len(sorted)-1, int(part*float64(len(sorted))))] }
	return Latency{Way: way, Nodes: nodes, Pods: len(took), P50: at(.5), P90: at(.9), P99: at(.99)}
}

// Ratio is of two measurements that took turns: the median of the ratios of each turn, and
// the least and the most.
type Ratio struct {
	Median, Least, Most float64
	Turns               int
}

// RatioOf compares what is measured of two lists of rounds, turn by turn.
func RatioOf(over, under []Round, measure func(Round) float64) Ratio {
	var all []float64
	for i := range min(len(over), len(under)) {
		if u := measure(under[i]); u > 0 {
			all = append(all, measure(over[i])/u)
		}
	}
	if len(all) == 0 {
		return Ratio{}
	}
	slices.Sort(all)
	return Ratio{Median: median(all), Least: all[0], Most: all[len(all)-1], Turns: len(all)}
}

// median is of sorted numbers, at least one.
func median(sorted []float64) float64 {
	n := len(sorted)
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}

// of are the rounds of a load and a way with so many nodes, in their order.
func (r Run) of(nodes int, load, way, revision string) (found []Round) {
	for _, x := range r.Rounds {
		if x.Nodes == nodes && x.Load == load && x.Way == way && x.Revision == revision {
			found = append(found, x)
		}
	}
	return found
}

// medianOf is the median of what is measured of rounds, 0 for none.
func medianOf(rounds []Round, measure func(Round) float64) float64 {
	if len(rounds) == 0 {
		return 0
	}
	all := make([]float64, len(rounds))
	for i, r := range rounds {
		all[i] = measure(r)
	}
	return median(slices.Sorted(slices.Values(all)))
}

// sizes are how many nodes there were, and loads what was run, each in the order of its
// first round.
func (r Run) sizes() (all []int) {
	for _, x := range r.Rounds {
		if !slices.Contains(all, x.Nodes) {
			all = append(all, x.Nodes)
		}
	}
	return all
}

func (r Run) loads() (all []string) {
	for _, x := range r.Rounds {
		if !slices.Contains(all, x.Load) {
			all = append(all, x.Load)
		}
	}
	return all
}

// keys are those of a measurement by name, of any of the rounds, sorted.
func keys(rounds []Round, by func(Round) map[string]float64) []string {
	all := map[string]bool{}
	for _, r := range rounds {
		for k := range by(r) {
			all[k] = true
		}
	}
	return slices.Sorted(maps.Keys(all))
}
