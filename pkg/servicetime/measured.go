package servicetime

import (
	"cmp"
	"slices"
	"time"
)

const (
	// HintFactor is how many times as long as the hint, or as short, the time is
	// that fewer than Agreeing namespaces can make decisions go by. A hint that was
	// measured on another machine of the kind is hardly off by more: published
	// times of two GPUs, or two NPUs, for which one image is built differ by 2 to
	// 3. The next kind of a profile takes about Step times as long, so whoever
	// spoils a time can swap a kind with its neighbours, and cannot make the worst
	// of four kinds look like the best.
	HintFactor = 4
	// Agreeing is how many namespaces must have measured a time beyond that.
	Agreeing = 3
	// MaxNamespaces is how many namespaces' runs are kept of one inference on one
	// kind.
	MaxNamespaces = 8
	// ForgetAfter is how much older than the latest run of all the latest run of a
	// namespace may be for its runs to be kept.
	ForgetAfter = 7 * 24 * time.Hour

	// Earlier is the namespace of runs that were recorded without one.
	Earlier = "earlier"
)

// NamespaceRuns are the runs of one namespace.
type NamespaceRuns struct {
	// Namespace stands for the namespace. It may be a code of its name.
	Namespace string
	Estimate
}

// Measured are the runs of one inference on one kind, by namespace. Pods of a
// namespace are as honest as whoever may create them there, so each namespace has
// an estimate of its own, and the median of these is what is expected. It is a
// value: no method changes it.
type Measured []NamespaceRuns

// Add adds later runs of a namespace. When there are MaxNamespaces others, it
// takes the place of the one whose latest run is oldest, if that one is stale by
// then: whoever creates namespaces does not displace those that are in use.
func (m Measured) Add(namespace string, later Estimate) Measured {
	if len(later.Recent) == 0 {
		return m
	}
	out := slices.Clone(m)
	i := slices.IndexFunc(out, func(n NamespaceRuns) bool { return n.Namespace == namespace })
	switch {
	case i >= 0:
		out[i].Estimate = out[i].Append(later)
	case len(out) < MaxNamespaces:
		out = append(out, NamespaceRuns{namespace, later})
	default:
		idle := out.idlest()
		if later.Last.Sub(out[idle].Last) <= StaleAfter {
			return m
		}
		out[idle] = NamespaceRuns{namespace, later}
	}
	return out.current()
}

// Rename makes the runs of one namespace those of another: what stands for it has
// changed.
func (m Measured) Rename(from, to string) Measured {
	is := func(name string) func(NamespaceRuns) bool {
		return func(n NamespaceRuns) bool { return n.Namespace == name }
	}
	i, j := slices.IndexFunc(m, is(from)), slices.IndexFunc(m, is(to))
	if i < 0 || from == to {
		return m
	}
	out := slices.Clone(m)
	if j < 0 {
		out[i].Namespace = to
		return out
	}
	earlier, later := out[i].Estimate, out[j].Estimate
	if later.Last.Before(earlier.Last) {
		earlier, later = later, earlier
	}
	out[j].Estimate = earlier.Append(later)
	return slices.Delete(out, i, i+1)
}

// idlest is the index of the namespace whose latest run is oldest.
func (m Measured) idlest() int {
	oldest := 0
	for i := range m {
		if m[i].Last.Before(m[oldest].Last) {
			oldest = i
		}
	}
	return oldest
}

// current leaves out namespaces that are forgotten. Runs without a namespace
// give way to the first namespace that can be relied on.
func (m Measured) current() Measured {
	last := m.Last()
	replaced := slices.ContainsFunc(m, func(n NamespaceRuns) bool { return n.Namespace != Earlier && n.Reliable() })
	return slices.DeleteFunc(m, func(n NamespaceRuns) bool {
		return last.Sub(n.Last) > ForgetAfter || replaced && n.Namespace == Earlier
	})
}

// counted are the estimates that count: those that can be relied on alone, and
// the others too while three namespaces are needed to make the median sound.
func (m Measured) counted() []Estimate {
	var all, reliable []Estimate
	for _, n := range m {
		if len(n.Recent) == 0 {
			continue
		}
		all = append(all, n.Estimate)
		if n.Reliable() {
			reliable = append(reliable, n.Estimate)
		}
	}
	if len(reliable) >= Agreeing || len(reliable) > 0 && len(all) < Agreeing {
		return reliable
	}
	return all
}

// times are those of the estimates that count, in order.
func (m Measured) times() []time.Duration {
	var times []time.Duration
	for _, e := range m.counted() {
		times = append(times, e.Time())
	}
	slices.Sort(times)
	return times
}

// Time is the median of the namespaces' times; 0 when no run was seen. It is the
// lower of two in the middle: only more than half of the namespaces can raise it,
// and a kind that is wrongly expected to be quick is soon timed by others, while
// one that is wrongly expected to be slow is left alone.
func (m Measured) Time() time.Duration { return median(m.times()) }

// Bounded is Time, at most HintFactor times as long as the hint, or as short, until
// Agreeing namespaces measured more, or less. Without a hint, 0, it is Time.
func (m Measured) Bounded(hint time.Duration) time.Duration {
	times := m.times()
	took := median(times)
	if hint <= 0 || took == 0 {
		return took
	}
	least, most := max(hint/HintFactor, Shortest), min(hint, Longest/HintFactor)*HintFactor
	shorter, longer := 0, 0
	for _, t := range times {
		if t < least {
			shorter++
		}
		if t > most {
			longer++
		}
	}
	if longer < Agreeing {
		took = min(took, most)
	}
	if shorter < Agreeing {
		took = max(took, least)
	}
	return took
}

// Expect is how long a run is expected to take, as package function Expect has it
// for one namespace.
func (m Measured) Expect(hint time.Duration) (time.Duration, Basis) {
	switch took := m.Bounded(hint); {
	case hint > 0 && !m.Reliable():
		return hint, Hinted
	case took > 0:
		return took, Learned
	}
	return 0, Unknown
}

// Reliable reports whether Time is better than a hint: a namespace has an
// estimate that is, or as many namespaces measured it as an estimate needs runs.
func (m Measured) Reliable() bool {
	counted := m.counted()
	return len(counted) >= MinRuns || slices.ContainsFunc(counted, Estimate.Reliable)
}

// Runs is how many runs there were in all.
func (m Measured) Runs() int64 {
	var runs int64
	for _, n := range m {
		runs = min(runs+boundedCount(n.Runs), maxRuns)
	}
	return runs
}

// Last is when the latest of them ended.
func (m Measured) Last() time.Time {
	var last time.Time
	for _, n := range m {
		if n.Last.After(last) {
			last = n.Last
		}
	}
	return last
}

// Namespaces is how many namespaces Time is the median of.
func (m Measured) Namespaces() int { return len(m.counted()) }

// Timed summarizes the runs. Recent is below MinRuns unless they are reliable;
// Least is the median of the namespaces' own, like Time.
func (m Measured) Timed(now time.Time) Timed {
	t := Timed{Runs: m.Runs()}
	var least []time.Duration
	for _, e := range m.counted() {
		one := e.Timed(now)
		t.Recent += one.Recent
		least = append(least, one.Least)
	}
	if !m.Reliable() {
		t.Recent = min(t.Recent, MinRuns-1)
	}
	slices.Sort(least)
	t.Least = median(least)
	if last := m.Last(); !last.IsZero() {
		t.Age = max(0, now.Sub(last))
	}
	return t
}

// median is the lower of the two in the middle of times in order, 0 of none.
func median(times []time.Duration) time.Duration {
	if len(times) == 0 {
		return 0
	}
	return times[(len(times)-1)/2]
}

// Sort puts the namespaces in order, so that equal runs are written alike.
func (m Measured) Sort() Measured {
	return slices.SortedFunc(slices.Values(m), func(a, b NamespaceRuns) int { return cmp.Compare(a.Namespace, b.Namespace) })
}
