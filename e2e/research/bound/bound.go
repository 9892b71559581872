// Package bound computes what no policy can exceed: the rate at which a fleet
// can serve arrivals in given proportions, by a linear programme.
//
// Slots, proportions and hold times enter; the rate and the prices that prove
// it leave. It knows nothing of clusters or time.
package bound

import (
	"errors"
	"fmt"
	"math"

	"gonum.org/v1/gonum/mat"
)

// Problem is, for kinds j and types i, the programme
//
//	maximise  Σ_ij x_ij
//	where     Σ_j x_ij         = rate · Share_i    for every type
//	          Σ_i x_ij Hold_ij ≤ Slots_j           for every kind
type Problem struct {
	// Slots is how many runs each kind holds at a time.
	Slots []float64
	// Share is each type's part of the arrivals.
	Share []float64
	// Hold is how long, in seconds, a run of a type holds a slot of a kind; 0
	// where it cannot run there.
	Hold [][]float64
}

// Bound is the solution.
type Bound struct {
	// Rate is arrivals a second, in the unit of Share.
	Rate float64
	// Prices prove it: with p_j for a second of a slot, no mix serves more
	// than Σ Slots·p / Σ_i Share_i·min_j(p_j·Hold_ij). They are scaled so that
	// the divisor is 1: what the arrivals of a unit of Share cost.
	Prices []float64
	// Busy is how much of each kind the best mix uses, 0 to 1.
	Busy []float64
	// Gap is how much of Rate at most lies between it and a mix that was found.
	Gap float64
}

const (
	enough = 1e-7
	most   = 20_000
)

// Solve solves a problem of any number of types and few kinds.
//
// The programme has as many rows as there are types and kinds, thousands of
// them, but once prices are given every type goes where it is cheapest. So it
// is solved over mixes as wholes: a column is one assignment of every type to
// a kind, with the load it puts on each kind, and the rows are the kinds alone.
// There are very many columns; the simplex method needs only the next best
// one, which the prices of the current basis give directly (Dantzig and
// Wolfe's decomposition). Weak duality makes the result a bound wherever it
// stops.
func (p Problem) Solve() (Bound, error) {
	m := len(p.Slots)
	for i := range p.Hold {
		if p.cheapest(i, ones(m)) < 0 {
			return Bound{}, fmt.Errorf("type %d can run nowhere", i)
		}
	}
	// The basis starts with every slot unused.
	basis, value := mat.NewDense(m, m, nil), mat.NewVecDense(m, nil)
	for j := range m {
		basis.Set(j, j, 1)
	}
	slots := mat.NewVecDense(m, p.Slots)
	best := Bound{Rate: math.Inf(1)}
	var prices, used, step mat.VecDense
	for range most {
		if err := used.SolveVec(basis, slots); err != nil {
			return best, fmt.Errorf("solve for the mix: %w", err)
		}
		if err := prices.SolveVec(basis.T(), value); err != nil {
			return best, fmt.Errorf("solve for the prices: %w", err)
		}
		found := mat.Dot(value, &used)
		y := clipped(&prices)
		column, cost := p.column(y)
		if rate := dot(p.Slots, y) / cost; cost > 0 && rate < best.Rate {
			best.Rate, best.Prices = rate, divided(y, cost)
		}
		best.Gap = 1 - found/best.Rate
		if best.Gap < enough {
			best.Busy = p.busy(basis, value, &used)
			return best, nil
		}
		gain := 1.0
		if j, negative := lowest(&prices); negative < -1e-12 {
			column, gain = make([]float64, m), 0
			column[j] = 1
		}
		if err := step.SolveVec(basis, mat.NewVecDense(m, column)); err != nil {
			return best, fmt.Errorf("solve for the step: %w", err)
		}
		leaving, ratio := -1, math.Inf(1)
		for j := range m {
			if d := step.AtVec(j); d > 1e-12 {
				if r := max(0, used.AtVec(j)) / d; r < ratio {
					leaving, ratio = j, r
				}
			}
		}
		if leaving < 0 {
			return best, errors.New("the mix is unbounded: some type takes no time")
		}
		basis.SetCol(leaving, column)
		value.SetVec(leaving, gain)
	}
	return best, fmt.Errorf("no mix within %g of the bound after %d steps", enough, most)
}

// column is the load that a unit of arrivals puts on each kind when every type
// goes where it is cheapest, and what it costs.
func (p Problem) column(prices []float64) (load []float64, cost float64) {
	load = make([]float64, len(p.Slots))
	for i, share := range p.Share {
		j := p.cheapest(i, prices)
		load[j] += share * p.Hold[i][j]
		cost += share * p.Hold[i][j] * prices[j]
	}
	return load, cost
}

// cheapest is the kind where type i costs least, the quicker one of two that
// cost the same; -1 when it can run nowhere.
func (p Problem) cheapest(i int, prices []float64) int {
	best := -1
	for j, hold := range p.Hold[i] {
		if hold <= 0 {
			continue
		}
		if best < 0 {
			best = j
			continue
		}
		here, there := hold*prices[j], p.Hold[i][best]*prices[best]
		if here < there || here == there && hold < p.Hold[i][best] {
			best = j
		}
	}
	return best
}

// busy is what the mixes in the basis use of each kind.
func (p Problem) busy(basis *mat.Dense, value, used *mat.VecDense) []float64 {
	busy := make([]float64, len(p.Slots))
	for k := range busy {
		for j := range busy {
			if value.AtVec(k) > 0 {
				busy[j] += basis.At(j, k) * used.AtVec(k) / p.Slots[j]
			}
		}
	}
	return busy
}

func ones(n int) []float64 {
	v := make([]float64, n)
	for i := range v {
		v[i] = 1
	}
	return v
}

func clipped(v *mat.VecDense) []float64 {
	out := make([]float64, v.Len())
	for i := range out {
		out[i] = max(0, v.AtVec(i))
	}
	return out
}

func lowest(v *mat.VecDense) (at int, least float64) {
	least = math.Inf(1)
	for i := range v.Len() {
		if v.AtVec(i) < least {
			at, least = i, v.AtVec(i)
		}
	}
	return at, least
}

func dot(a, b []float64) (sum float64) {
	for i := range a {
		sum += a[i] * b[i]
	}
	return sum
}

func divided(v []float64, by float64) []float64 {
	out := make([]float64, len(v))
	for i := range v {
		out[i] = v[i] / by
	}
	return out
}
