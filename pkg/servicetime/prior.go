package servicetime

import (
	"cmp"
	"math"
	"time"
)

const (
	// Step is the ratio of the times on each kind and the one before it in the
	// profile, while nothing else is known. Published ratios lie around it:
	// OpenVINO with YOLOv8n on the GPU, NPU and CPU of one Core Ultra differs by
	// 1.1 to 3 from one to the next, the paper's Iris Xe, Neural Compute Stick 2
	// and Xeons by 1.9 and 3.6; from the first to the last of three or four kinds
	// it is 3 to 7, and 4 to 8 by this. With less than 2 the order would not
	// count, as a policy charges up to as much again for an idle kind that is
	// scarce. With 3, the last of four kinds would seem so slow that pods wait
	// beside it ("make simulate" shows what that costs).
	Step = 2
	// First is the time on the fastest kind while no time is known: about what a
	// handover takes, so that neither a wait nor a slower kind seems to cost
	// nothing.
	First = time.Second

	// minTime is the least time that Complete fills in.
	minTime = time.Microsecond
)

// RelativeTimes turns relative speeds, in the order of the profile, into relative
// times: 1/speed where there is a speed above 0. Elsewhere each kind takes Step
// times as long as the one before it, or lies evenly between its neighbours that
// have a speed.
func RelativeTimes(speeds []float64) []float64 {
	order, known := make([]float64, len(speeds)), make([]float64, len(speeds))
	for i, s := range speeds {
		order[i] = math.Pow(Step, float64(min(i, 100)))
		if known[i] = 0; positive(s) {
			known[i] = 1 / s
		}
	}
	return interpolate(known, order)
}

// Complete fills in the times that are unknown, that is not above 0, from the
// relative times, of which only the ratios count. Between two known times it
// interpolates by the logarithm, beyond them it is in proportion to the nearest.
// With none known the fastest kind takes First. Every time is above 0, and at
// most Longest unless known to be more.
func Complete(known []time.Duration, relative []float64) []time.Duration {
	seconds := make([]float64, len(known))
	for i, d := range known {
		seconds[i] = max(0, d.Seconds())
	}
	times := make([]time.Duration, len(known))
	for i, s := range interpolate(seconds, relative) {
		if times[i] = known[i]; times[i] <= 0 {
			times[i] = time.Duration(min(max(s*float64(time.Second), float64(minTime)), float64(Longest))).Round(minTime)
		}
	}
	return times
}

// interpolate fills in known by relative as Complete describes. A relative time
// that is not above 0 counts as 1.
func interpolate(known, relative []float64) []float64 {
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
