package world

import (
	"time"

	"heteroaccel.io/webhook/readmit/upgrade"
)

// Served is what the servers came to between Warmup and Horizon, but for the counts, which
// are from the beginning to the horizon.
type Served struct {
	// Demand is how many runs a second were asked of them, and Rate how many they did, each
	// capped by its Deployment's demand.
	Demand, Rate float64
	// Best is the part of the time of all replicas in which one was Ready on the kind on
	// which its runs take least.
	Best float64
	// Rollouts is how many there were, Lost how many servers' nodes failed.
	Rollouts, Lost int
	// Displaced and Asked are the servers that were moved after a rollout displaced them,
	// and because they asked; Abandoned the moves of either that came to nothing.
	Displaced, Asked, Abandoned int
	// MostDisplaced and MostAsked are how many moves began of one Deployment within an hour.
	MostDisplaced, MostAsked int
	// Twice is for how long, in all, a device was held for the next pod of a server that
	// served on another one.
	Twice time.Duration
}

// tally is what a Deployment came to so far.
type tally struct {
	until     time.Duration
	runs      float64
	onBest    time.Duration
	rolledOut int
	lost      int
	abandoned int
	twice     time.Duration
	// moved are how many moves succeeded and began when they began, of the displaced and of
	// those that asked.
	moved [2]int
	began [2][]time.Duration
}

// why tells the two reasons to move apart.
func (m *move) why() int {
	if m.asked {
		return 1
	}
	return 0
}

func (t *tally) noteMove(m *move) { t.began[m.why()] = append(t.began[m.why()], m.began) }

func (t *tally) noteEnd(m *move, what upgrade.Outcome, now time.Duration) {
	if what == upgrade.Moved {
		t.moved[m.why()]++
	} else {
		t.abandoned++
	}
	t.twice += now - m.began
}

// count adds what a Deployment's servers have done until now. It comes before each change
// of which of them serve.
func (w *World) count(d *deployment) {
	from, until := max(d.until, w.Warmup), min(w.now, w.Horizon)
	d.until = w.now
	if until <= from {
		return
	}
	span, rate := until-from, 0.
	for _, id := range d.pods {
		j := &w.jobs[id]
		if !j.serves.ready {
			continue
		}
		rate += 1 / w.Fleet.Types[j.typ].Service[j.kind].Seconds()
		if j.kind == d.best {
			d.onBest += span
		}
	}
	if d.Demand > 0 {
		rate = min(rate, d.Demand)
	}
	d.runs += rate * span.Seconds()
}

// served sums up at the horizon.
func (w *World) served() (s Served) {
	span, replicas := w.Horizon-w.Warmup, 0
	var best time.Duration
	for _, d := range w.serving.deployments {
		w.count(d)
		replicas += d.Replicas
		best += d.onBest
		s.Demand += d.Demand
		s.Rate += d.runs / span.Seconds()
		s.Rollouts, s.Lost, s.Abandoned = s.Rollouts+d.rolledOut, s.Lost+d.lost, s.Abandoned+d.abandoned
		s.Displaced, s.Asked, s.Twice = s.Displaced+d.moved[0], s.Asked+d.moved[1], s.Twice+d.twice
		s.MostDisplaced, s.MostAsked = max(s.MostDisplaced, mostWithin(d.began[0], time.Hour)), max(s.MostAsked, mostWithin(d.began[1], time.Hour))
	}
	if replicas > 0 {
		s.Best = best.Seconds() / span.Seconds() / float64(replicas)
	}
	return s
}

// mostWithin is how many of sorted times at most lie less than span apart.
func mostWithin(times []time.Duration, span time.Duration) (most int) {
	first := 0
	for i, at := range times {
		for at-times[first] >= span {
			first++
		}
		most = max(most, i-first+1)
	}
	return most
}
