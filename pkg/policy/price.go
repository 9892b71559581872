package policy

import (
	"cmp"
	"math"
	"time"

	"heteroaccel.io/pkg/inventory"
)

// PricedFinish takes the smallest expected wait and service time together,
// where time on a kind that others need is charged more than it takes:
//
//	wait + service · (1 + price)
//
// A price is what the linear programme of the best mix would put on a second
// of that kind, read off the state of the cluster instead of solved for: high
// where the pods that come next will find nothing free. Everything that is
// charged grows with the run's own service time, so who gains least by a scarce
// kind, in proportion, is the first to leave it to others: comparative
// advantage, and not who came first. Among pods that wait for a kind nobody
// overtakes, and an idle kind that nobody else wants costs next to nothing.
//
// Whatever it charges, two things hold for every pod. While a kind is idle, its
// choice is done within twice the time that a run takes there. And it takes a
// slower kind that is idle only if a run there takes less than the wait for a
// faster one and eight runs on it, or one more for each pod that is queued.
// Only a trial, now and then, may take longer.
func PricedFinish(candidates []inventory.Candidate) []Ranked {
	ranked := estimate(candidates)
	for i := range ranked {
		ranked[i].Price = price(ranked[i])
	}
	return try(order(ranked, func(a, b Ranked) int {
		if a.Finish == Never || b.Finish == Never {
			return finishFirst(a, b)
		}
		return cmp.Compare(a.cost(), b.cost())
	}))
}

// cost is what PricedFinish minimises, in seconds.
func (r Ranked) cost() float64 {
	return r.Wait.Seconds() + r.service()*(1+r.Price)
}

// service is how long the run itself is expected to take, in seconds.
func (r Ranked) service() float64 { return (r.Finish - r.Wait).Seconds() }

const (
	// persistence is how much the price rises for each service time that a kind
	// has been full: a burst is over in a few of them, and hardly counts.
	persistence = 0.1
	// dearest is what that adds at most. It sets how much slower a kind may be
	// that takes work from one that is always full: 1 + 1 + dearest times. What
	// is slower still would add less than an eighth to what is served, and who
	// was sent there would pay for it.
	dearest = 6
)

// price is the part of a run's time that others are expected to lose by it.
//
// How likely the next pods are to wait depends on how many slots are free, or
// how many pods too many there are, measured in √n for n slots: a hundred slots
// of which ten are free are as near to their end as one that is (Halfin and
// Whitt's regime). Below that the price falls exponentially, above it grows
// with the queue, as those grow that a run delays.
//
// A kind that has been full for long will be so for long again, and then what
// a run takes delays not only who is there but all who come: the price goes up
// with the number of service times that it has lasted.
func price(r Ranked) float64 {
	short := max(0, float64(r.Claimed)) + max(0, float64(r.Queued)) - max(0, float64(r.Usable))
	pressure := short / math.Sqrt(max(1, max(0, float64(r.Usable))+max(0, float64(r.Ending))))
	if pressure < 0 {
		return math.Exp(pressure)
	}
	lasting := persistence * max(0, r.Full).Seconds() / turnover(r)
	return 1 + pressure + min(dearest, lasting)
}

// turnover is the mean service time of what runs there, or else of this run,
// in seconds.
func turnover(r Ranked) float64 {
	var sum float64
	var known int
	for _, p := range r.Running {
		if p.Ends && p.Service > 0 {
			sum += min(p.Service, longest).Seconds()
			known++
		}
	}
	if known > 0 {
		return max(time.Millisecond.Seconds(), sum/float64(known))
	}
	return max(time.Millisecond.Seconds(), r.service())
}
