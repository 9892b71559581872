package servicetime

import (
	"slices"
	"time"
)

const (
	// Window is how many of the latest runs are kept and count.
	Window = 32
	// MinRuns is how many runs make an estimate better than a hint: among fewer,
	// one that hung could be the median.
	MinRuns = 3

	// StaleAfter is the age from which a time is worth measuring again: a driver
	// may have been updated since, or a card cooled down.
	StaleAfter = 6 * time.Hour

	// Shortest and Longest bound the duration of a run, so that no estimate is 0
	// and no sum over a window overflows.
	Shortest = 10 * time.Millisecond
	Longest  = 365 * 24 * time.Hour

	// outlier is how many times the median a run may last and still count in
	// full.
	outlier = 4
	// resolution is that of the times in a pod's status. A run this much above
	// the median may be a rounding error, and counts in full.
	resolution = time.Second
	// maxRuns keeps a count from overflowing, whatever was read back.
	maxRuns = 1 << 53
)

// Estimate is what the runs of one inference on one kind took. The zero value has
// seen none. It is a value: no method changes it.
type Estimate struct {
	// Recent are the latest runs, oldest first: at most Window, each from
	// Shortest to Longest, in whole milliseconds.
	Recent []time.Duration
	// Runs is how many runs there were in all.
	Runs int64
	// Last is when the latest of them ended.
	Last time.Time
}

// Observe adds one run: how long it took and when it ended.
func (e Estimate) Observe(took time.Duration, ended time.Time) Estimate {
	return e.Append(Estimate{Recent: []time.Duration{bounded(took)}, Runs: 1, Last: ended})
}

// Append adds the runs of another estimate as later ones. Of runs that are stale
// by then it keeps too few to rely on, so that the later ones soon prevail.
func (e Estimate) Append(later Estimate) Estimate {
	earlier := e.Recent
	if !e.Last.IsZero() && later.Last.Sub(e.Last) > StaleAfter {
		earlier = earlier[max(0, len(earlier)-(MinRuns-1)):]
	}
	recent := slices.Concat(earlier, later.Recent)
	sum := Estimate{
		Recent: recent[max(0, len(recent)-Window):],
		Runs:   min(boundedCount(e.Runs)+boundedCount(later.Runs), maxRuns),
		Last:   e.Last,
	}
	if later.Last.After(sum.Last) {
		sum.Last = later.Last
	}
	return sum
}

// Time is how long a run is expected to take, from Shortest to Longest; 0 when
// none was seen. Longer runs never make it shorter.
func (e Estimate) Time() time.Duration {
	n := len(e.Recent)
	if n == 0 {
		return 0
	}
	// The lower of two in the middle: only more than half of the runs can raise
	// the bound.
	median := slices.Sorted(slices.Values(e.Recent))[(n-1)/2]
	bound := max(outlier*median, median+resolution)
	var sum time.Duration
	for _, took := range e.Recent {
		sum += min(took, bound)
	}
	return (sum / time.Duration(n)).Round(time.Millisecond)
}

// Timed is what a decision needs of an Estimate besides its Time.
type Timed struct {
	// Runs is how many runs there were in all, Recent how many are kept.
	Runs   int64
	Recent int
	// Least is the shortest of the latest MinRuns, 0 with none.
	Least time.Duration
	// Age is how long ago the latest ended, 0 when unknown.
	Age time.Duration
}

// Timed summarizes the estimate.
func (e Estimate) Timed(now time.Time) Timed {
	t := Timed{Runs: boundedCount(e.Runs), Recent: len(e.Recent)}
	if latest := e.Recent[max(0, len(e.Recent)-MinRuns):]; len(latest) > 0 {
		t.Least = slices.Min(latest)
	}
	if !e.Last.IsZero() {
		t.Age = max(0, now.Sub(e.Last))
	}
	return t
}

// Reliable reports whether the estimate is better than a hint.
func (e Estimate) Reliable() bool { return e.Runs >= MinRuns && len(e.Recent) >= MinRuns }

func bounded(took time.Duration) time.Duration {
	return min(max(took.Round(time.Millisecond), Shortest), Longest)
}

func boundedCount(runs int64) int64 { return min(max(0, runs), maxRuns) }
