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
func PricedFinish(candidates []inventory.Candidate) []Ranked {
	ranked := estimate(candidates)
	for i := range ranked {
		ranked[i].Price = price(ranked[i])
	}
	return order(ranked, func(a, b Ranked) int {
		if a.Finish == Never || b.Finish == Never {
			return finishFirst(a, b)
		}
		return cmp.Compare(a.cost(), b.cost())
	})
}

// cost is what PricedFinish minimises, in seconds.
func (r Ranked) cost() float64 {
	return r.Wait.Seconds() + (r.Finish-r.Wait).Seconds()*(1+r.Price)
}

const (
	// persistence is how much the price rises for each service time that a
	// kind has been full, and dearest what that adds at most. More of either
	// comes nearer to the bound where a few clients keep everything busy, and
	// sends too many away from a kind that is merely full for a while.
	persistence = 0.1
	dearest     = 8
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
	lasting := persistence * max(0, r.Full).Seconds() / turnover(r).Seconds()
	return 1 + pressure + min(dearest, lasting)
}

// turnover is the mean service time of what runs there, or else of this run.
func turnover(r Ranked) time.Duration {
	var sum float64
	var known int
	for _, p := range r.Running {
		if p.Ends && p.Service > 0 {
			sum += min(p.Service, longest).Seconds()
			known++
		}
	}
	own := r.Finish - r.Wait
	if known > 0 {
		own = time.Duration(sum / float64(known) * float64(time.Second))
	}
	return max(time.Millisecond, own)
}
