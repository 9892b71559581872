package servicetime

import (
	"cmp"
	"math"
	"time"
)

// Basis is where an expected time comes from.
type Basis uint8

const (
	// Unknown is a time of no stated origin.
	Unknown Basis = iota
	// Learned is what runs took.
	Learned
	// Hinted is the profile's serviceTime.
	Hinted
	// Speed is reckoned from the profile's relative speeds.
	Speed
	// ProfileOrder is reckoned from the place in the profile.
	ProfileOrder
	// PodOrder is the same, dealt out in the order that the pod names.
	PodOrder
)

// String is the basis in a word, "" for Unknown.
func (b Basis) String() string {
	switch b {
	case Learned:
		return "learned"
	case Hinted:
		return "hint"
	case Speed:
		return "speed"
	case ProfileOrder:
		return "order"
	case PodOrder:
		return "pod's order"
	}
	return ""
}

// Measured reports whether somebody timed it, or says that they did.
func (b Basis) Measured() bool { return b == Learned || b == Hinted }

const (
	// Step is how many times as long a run is taken to last on each kind as on
	// the one before it, while nothing else is known. What is published lies
	// around it: OpenVINO with YOLOv8n on the GPU, NPU and CPU of one Core Ultra
	// differs by 1.1 to 3 from one to the next, the paper's Iris Xe, Neural
	// Compute Stick 2 and Xeons by 1.9 and 3.6; from the first to the last of
	// three or four kinds it is 3 to 7, and 4 to 8 by this. With less than 2 the
	// order would not count, as a policy charges an idle kind up to as much again
	// for being scarce; with 3, the last of four kinds would seem so slow that
	// pods wait beside it (make simulate shows what that costs).
	Step = 2
	// First is what a run is taken to last on the fastest kind, while not one
	// time is known: about what a handover costs, so that neither a wait nor a
	// slower kind looks like nothing.
	First = time.Second

	// briefest bounds reckoned times from below.
	briefest = time.Microsecond
)

// RelativeTimes completes relative speeds to relative times, by place in the
// profile: 1/speed where there is a speed, greater than 0; elsewhere each kind
// takes Step times as long as the one before it, or lies evenly between its
// neighbours that have a speed.
func RelativeTimes(speeds []float64) []float64 {
	places, known := make([]float64, len(speeds)), make([]float64, len(speeds))
	for i, s := range speeds {
		places[i] = math.Pow(Step, float64(min(i, 100)))
		if known[i] = 0; positive(s) {
			known[i] = 1 / s
		}
	}
	return fill(known, places)
}

// Complete completes times. Where known is not greater than 0, the time follows
// from the relative times, which only count by their ratios: between two known
// ones it lies as far as it does there (by the logarithm), and beyond them it
// is in proportion to the nearest. With none known the fastest takes First.
// Every time is greater than 0, and at most Longest unless known to be more.
func Complete(known []time.Duration, relative []float64) []time.Duration {
	seconds := make([]float64, len(known))
	for i, d := range known {
		seconds[i] = max(0, d.Seconds())
	}
	times := make([]time.Duration, len(known))
	for i, s := range fill(seconds, relative) {
		if times[i] = known[i]; times[i] <= 0 {
			times[i] = time.Duration(min(max(s*float64(time.Second), float64(briefest)), float64(Longest))).Round(briefest)
		}
	}
	return times
}

// fill completes known by relative, as Complete says. A relative that is not
// greater than 0 counts as 1.
func fill(known, relative []float64) []float64 {
	type point struct{ at, value float64 }
	logs := make([]float64, len(known))
	var points []point
	for i, v := range known {
		if i < len(relative) && positive(relative[i]) {
			logs[i] = math.Log(relative[i])
		}
		if positive(v) {
			points = append(points, point{logs[i], math.Log(v)})
		}
	}
	if len(points) == 0 && len(logs) > 0 {
		fastest := point{logs[0], math.Log(First.Seconds())}
		for _, at := range logs {
			fastest.at = min(fastest.at, at)
		}
		points = append(points, fastest)
	}
	out := make([]float64, len(known))
	for i, v := range known {
		if out[i] = v; positive(v) {
			continue
		}
		below, above := point{at: math.Inf(-1)}, point{at: math.Inf(1)}
		for _, p := range points {
			if p.at <= logs[i] && p.at > below.at {
				below = p
			}
			if p.at >= logs[i] && p.at < above.at {
				above = p
			}
		}
		switch {
		case math.IsInf(below.at, -1):
			out[i] = math.Exp(above.value + logs[i] - above.at)
		case math.IsInf(above.at, 1) || below.at == above.at:
			out[i] = math.Exp(below.value + logs[i] - below.at)
		default:
			part := (logs[i] - below.at) / (above.at - below.at)
			out[i] = math.Exp(below.value + part*(above.value-below.value))
		}
	}
	return out
}

func positive(f float64) bool { return cmp.Compare(f, 0) > 0 && !math.IsInf(f, 1) }
