package world

import (
	"slices"
	"sort"
	"time"
)

// Result is what a simulation came to. Unless it says otherwise, it counts
// what happened between Warmup and Horizon.
type Result struct {
	// Offered is arrivals a second, Throughput completions.
	Offered, Throughput float64
	// Completed are the completions by type.
	Completed []int
	// On are completions by kind.
	On []int
	// Mean, Median, P95 and P99 are of the times from arrival to end, of all
	// that arrived, whenever they ended.
	Mean, Median, P95, P99 time.Duration
	// Waited is the mean of what of that was neither the run that ended nor its start-up.
	Waited time.Duration
	// Slowdowns are the same times over what the fastest run of the type takes, start-up
	// included, of the urgent pods, sorted.
	Slowdowns []float64
	// Busy is the part of the slots' time that each kind was held.
	Busy []float64

	// Arrivals, Ended, Running and Waiting are from the very beginning to the
	// horizon; the first is the sum of the others.
	Arrivals, Ended, Running, Waiting int
	// Oldest is how long who waits the longest at the horizon has waited.
	Oldest time.Duration
	// Moves are re-admissions, Lost pods whose node failed, Trials those that
	// were sent somewhere to learn; from the beginning.
	Moves, Lost, Trials int
	// Decisions is how often the policy was asked; Deciding and DecidingP99
	// what a decision took by Config.Clock, in the middle and at its worst: a
	// mean would tell what else the machine was doing.
	Decisions             int
	Deciding, DecidingP99 time.Duration
	// Served is what the servers came to.
	Served Served
}

type measured struct {
	atHorizon                                                            Result
	arrivals, offered, ended, throughput, moves, lost, trials, decisions int
	deciding                                                             []time.Duration
	completed, on                                                        []int
	latencies, waits                                                     []time.Duration
	slowdowns                                                            []float64
	held                                                                 []time.Duration
}

// complete notes the end of a job.
func (m *measured) complete(w *World, j *job) {
	if m.completed == nil {
		m.completed, m.on = make([]int, len(w.Fleet.Types)), make([]int, len(w.Fleet.Kinds))
	}
	m.ended++
	if w.now >= w.Warmup && !w.over {
		m.completed[j.typ]++
		m.on[j.kind]++
		m.throughput++
	}
	if j.arrived >= w.Warmup {
		m.latencies = append(m.latencies, w.now-j.arrived)
		m.waits = append(m.waits, w.now-j.arrived-w.Startup-w.service(j, j.kind))
		if j.urgent {
			m.slowdowns = append(m.slowdowns, float64(w.now-j.arrived)/float64(w.fastest(j.typ)))
		}
	}
}

// occupy notes how long a slot was held until now.
func (m *measured) occupy(w *World, s *slot) {
	if m.held == nil {
		m.held = make([]time.Duration, len(w.Fleet.Kinds))
	}
	m.held[s.kind] += max(0, w.now-max(s.since, w.Warmup))
}

// summarise computes the result at the horizon.
func (w *World) summarise() {
	m := &w.measured
	span := w.Horizon - w.Warmup
	r := Result{
		Completed: m.completed, On: m.on,
		Arrivals: m.arrivals, Ended: m.ended,
		Moves: m.moves, Lost: m.lost, Trials: m.trials, Decisions: m.decisions,
		Offered:    float64(m.offered) / span.Seconds(),
		Throughput: float64(m.throughput) / span.Seconds(),
	}
	for s := range w.slots {
		if w.slots[s].job >= 0 {
			if w.jobs[w.slots[s].job].serves == nil {
				r.Running++
			}
			m.occupy(w, &w.slots[s]) // nobody looks at what is held later
		}
	}
	for k := range w.queues {
		for _, a := range w.queues[k].all(w.stands) {
			if w.jobs[a.job].serves != nil {
				continue
			}
			r.Waiting++
			r.Oldest = max(r.Oldest, w.now-w.jobs[a.job].arrived)
		}
	}
	for k, held := range m.held {
		r.Busy = append(r.Busy, held.Seconds()/span.Seconds()/float64(w.Fleet.Kinds[k].Slots))
	}
	if w.serving != nil {
		r.Served = w.served()
	}
	m.atHorizon = r
}

// result adds the latencies, once all are known.
func (w *World) result() Result {
	m := &w.measured
	r := m.atHorizon
	if len(m.deciding) > 0 {
		slices.Sort(m.deciding)
		r.Deciding, r.DecidingP99 = quantile(m.deciding, .5), quantile(m.deciding, .99)
	}
	if n := len(m.latencies); n > 0 {
		slices.Sort(m.latencies)
		slices.Sort(m.slowdowns)
		r.Slowdowns = m.slowdowns
		r.Mean, r.Waited = mean(m.latencies), mean(m.waits)
		r.Median, r.P95, r.P99 = quantile(m.latencies, .5), quantile(m.latencies, .95), quantile(m.latencies, .99)
	}
	return r
}

// Missed is the part of the urgent pods that took more than slack times their type's fastest; 0
// of none.
func (r Result) Missed(slack float64) float64 {
	if len(r.Slowdowns) == 0 {
		return 0
	}
	inTime := sort.Search(len(r.Slowdowns), func(i int) bool { return r.Slowdowns[i] > slack })
	return 1 - float64(inTime)/float64(len(r.Slowdowns))
}

// mean is that of some durations.
func mean(of []time.Duration) time.Duration {
	var sum float64
	for _, d := range of {
		sum += float64(d)
	}
	return time.Duration(sum / float64(len(of)))
}

// quantile is the smallest of sorted durations that a part q of them does not
// exceed.
func quantile(sorted []time.Duration, q float64) time.Duration {
	i := int(q * float64(len(sorted)))
	return sorted[min(i, len(sorted)-1)]
}
