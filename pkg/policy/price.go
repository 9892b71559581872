package policy

import (
	"cmp"
	"math"
	"time"

	"heteroaccel.io/pkg/inventory"
)

// PricedFinish minimizes the expected wait plus service time, where time on a kind
// that others need costs extra:
//
//	wait + service · (1 + price)
//
// A price estimates the shadow price of a second on that kind in the linear
// programme of the best mix. It is read off the state of the cluster instead of
// solved for: high where the next pods will find nothing free. All charges grow
// with the run's own service time, so the pods that gain least from a scarce kind,
// in proportion, are the first to leave it to others: by comparative advantage,
// not by order of arrival. Among pods that wait for a kind none overtakes another,
// and an idle kind that nobody else wants costs next to nothing.
//
// Whatever it charges, two bounds hold for every pod. While a kind is idle, the
// choice finishes within twice the time that a run takes there. And a slower idle
// kind is chosen only if a run there takes less than the wait for a faster one
// plus eight runs on it, or one more for each pod that is queued. Only a trial,
// now and then, or a node that the pod prefers may take longer: see
// applyPreference.
func PricedFinish(candidates []inventory.Candidate) []Ranked {
	ranked := estimate(candidates)
	for i := range ranked {
		ranked[i].Price = price(ranked[i])
	}
	return applyTrial(applyPreference(order(ranked, func(a, b Ranked) int {
		if a.Finish == Never || b.Finish == Never {
			return finishFirst(a, b)
		}
		return cmp.Compare(a.cost(), b.cost())
	}), Ranked.cost))
}

// cost is what PricedFinish minimizes, in seconds.
func (r Ranked) cost() float64 {
	return r.Wait.Seconds() + r.serviceSeconds()*(1+r.Price)
}

// serviceSeconds is how long the run itself is expected to take, in seconds.
func (r Ranked) serviceSeconds() float64 { return (r.Finish - r.Wait).Seconds() }

const (
	// persistence is how much the price rises for each service time that a kind
	// has been full. A burst is over in a few of them and hardly counts.
	persistence = 0.1
	// maxLasting is what that adds at most. It limits how much slower a kind may
	// be to take work from one that is always full: 1 + 1 + maxLasting times. A
	// slower one would add less than an eighth to the throughput, at the expense
	// of the pods sent there.
	maxLasting = 6
)

// price is the time that others are expected to lose by a run, as a fraction of
// its own time.
//
// How likely the next pods are to wait depends on how many of n places are free,
// or how many pods too many there are, in units of √n: a hundred places of which
// ten are free are as scarce as one that is free (the Halfin-Whitt regime). Below
// that the price falls exponentially, above it grows with the queue, as does the
// number of pods that a run delays.
//
// A kind that has been full for long is expected to stay so for as long again.
// Then a run delays not only the pods that wait but all that arrive: the price
// rises with the number of service times that it has been full.
func price(r Ranked) float64 {
	short := max(0, float64(r.Claimed)) + max(0, float64(r.Queued)) - max(0, float64(r.Usable))
	pressure := short / math.Sqrt(max(1, max(0, float64(r.Usable))+max(0, float64(r.Ending))))
	if pressure < 0 {
		return math.Exp(pressure)
	}
	lasting := persistence * max(0, r.Full).Seconds() / turnover(r)
	return 1 + pressure + min(maxLasting, lasting)
}

// turnover is the mean service time of the runs there, or else of this run, in
// seconds.
func turnover(r Ranked) float64 {
	var sum float64
	var known int
	for _, p := range r.Running {
		if p.Ends && p.Service > 0 {
			sum += min(p.Service, maxEstimate).Seconds()
			known++
		}
	}
	if known > 0 {
		return max(time.Millisecond.Seconds(), sum/float64(known))
	}
	return max(time.Millisecond.Seconds(), r.serviceSeconds())
}
