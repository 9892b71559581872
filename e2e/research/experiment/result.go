package main

import (
	"fmt"
	"slices"
	"time"

	"gonum.org/v1/gonum/stat"

	"heteroaccel.io/e2e/research/fleet"
	"heteroaccel.io/pkg/accel"
)

// result is what was measured in a window.
type result struct {
	interval time.Duration
	// ended counts the runs that ended within it, on each kind.
	ended map[accel.Kind]int
	total int
	// busy is the part of the window in which each kind ran something.
	busy map[accel.Kind]float64
	// latencies, by inference and in all (""), are from the request to the
	// end, sorted, in seconds.
	latencies map[string][]float64
	// waiting is how long, in seconds, the oldest request of each inference had
	// waited for its end when the window closed: nobody's latency tells of it.
	waiting map[string]float64
	// unserved had not ended when the experiment did.
	unserved int
	// bound is the most runs a second of those service times.
	bound float64
	// made is how often pods were recreated for another kind.
	made int
	// startup is from the request to the start, of pods that found something
	// idle, and handover from the end of a pod to the start of the next on the
	// same kind, when that waited already. Medians, 0 for none.
	startup, handover time.Duration
	// pods is how many were bound, and moved how many of them had been given another
	// kind, recreated or not.
	pods, moved int
	// freedStayed and freedMoved are from the end of a run to when a pod that waited
	// then was bound to the same kind: for the pods that waited for that kind from the
	// first, and for those that were moved to it. In seconds, sorted.
	freedStayed, freedMoved []float64
}

// perSecond is how many runs ended in a second.
func (r result) perSecond() float64 { return float64(r.total) / r.interval.Seconds() }

// counted says which runs' latencies count.
type counted func(run, window) bool

// Of cameras those that ended within the window count, of random arrivals
// those that came within it.
func byEnd(r run, w window) bool   { return w.has(r.ended) }
func byStart(r run, w window) bool { return w.has(r.submitted) }

func (w window) has(t time.Time) bool { return !t.Before(w.from) && t.Before(w.to) }

// measure sums runs up.
func measure(runs []run, w window, counts counted, f *fleet.Fleet) (result, error) {
	res := result{
		interval: w.length(), ended: map[accel.Kind]int{},
		busy: map[accel.Kind]float64{}, latencies: map[string][]float64{}, waiting: map[string]float64{},
	}
	drawn := map[accel.Kind][]float64{}
	for _, r := range runs {
		res.made += r.made
		if !r.started.IsZero() {
			res.busy[r.kind] += w.overlap(r.started, r.ended).Seconds() / w.length().Seconds()
		}
		if w.has(r.ended) {
			res.total++
			res.ended[r.kind]++
			drawn[r.kind] = append(drawn[r.kind], r.takes[r.kind].Seconds())
		}
		if r.submitted.Before(w.to) && (r.ended.IsZero() || !r.ended.Before(w.to)) {
			for _, of := range []string{"", r.inference} {
				res.waiting[of] = max(res.waiting[of], w.to.Sub(r.submitted).Seconds())
			}
		}
		switch {
		case !counts(r, w):
		case r.ended.IsZero():
			res.unserved++
		default:
			for _, of := range []string{"", r.inference} {
				res.latencies[of] = append(res.latencies[of], r.ended.Sub(r.submitted).Seconds())
			}
		}
	}
	for _, l := range res.latencies {
		slices.Sort(l)
	}
	res.startup, res.handover = startups(runs), handovers(runs)
	for _, r := range runs {
		if !r.bound.IsZero() {
			res.pods++
			if r.anew() {
				res.moved++
			}
		}
	}
	res.freedStayed, res.freedMoved = freed(runs)
	var err error
	res.bound, err = boundOf(f, drawn)
	return res, err
}

// overlap is how much of the time from a to b, or until now when b is zero,
// lies within the window.
func (w window) overlap(a, b time.Time) time.Duration {
	if b.IsZero() || b.After(w.to) {
		b = w.to
	}
	if a.Before(w.from) {
		a = w.from
	}
	return max(0, b.Sub(a))
}

// fewest is how many runs make a mean.
const fewest = 3

// boundOf is the throughput of the best mix, in runs a second, when runs take
// as long as those did that were drawn for each kind, and pods no time to
// start.
func boundOf(f *fleet.Fleet, drawn map[accel.Kind][]float64) (float64, error) {
	p := f.Problem(0)
	for j, k := range f.Kinds {
		if len(drawn[k.Name]) >= fewest {
			for i := range p.Hold {
				p.Hold[i][j] = stat.Mean(drawn[k.Name], nil)
			}
		}
	}
	b, err := p.Solve()
	if err != nil {
		return 0, fmt.Errorf("compute the bound: %w", err)
	}
	return b.Rate, nil
}

// startups is the median time that pods take to start which found something
// idle at once.
func startups(runs []run) time.Duration {
	var took []float64
	for _, r := range runs {
		if !r.started.IsZero() && !r.waited && r.made == 0 {
			took = append(took, r.started.Sub(r.submitted).Seconds())
		}
	}
	return median(took)
}

// handovers is the median time between two pods on a kind, where the second
// waited before the first had ended. There is one device of each kind.
func handovers(runs []run) time.Duration {
	byKind := map[accel.Kind][]run{}
	for _, r := range runs {
		if !r.started.IsZero() {
			byKind[r.kind] = append(byKind[r.kind], r)
		}
	}
	var took []float64
	for _, of := range byKind {
		slices.SortFunc(of, func(a, b run) int { return a.started.Compare(b.started) })
		for i := 1; i < len(of); i++ {
			before, after := of[i-1], of[i]
			if !before.ended.IsZero() && after.waited && after.made == 0 && after.submitted.Before(before.ended) {
				took = append(took, after.started.Sub(before.ended).Seconds())
			}
		}
	}
	return median(took)
}

func median(seconds []float64) time.Duration {
	if len(seconds) == 0 {
		return 0
	}
	slices.Sort(seconds)
	return time.Duration(quantile(seconds, .5) * float64(time.Second))
}

// quantile of sorted numbers, of which there is at least one.
func quantile(sorted []float64, q float64) float64 {
	return stat.Quantile(q, stat.Empirical, sorted, nil)
}
