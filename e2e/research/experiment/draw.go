package main

import (
	"fmt"
	"math"
	"math/rand/v2"
	"time"

	"heteroaccel.io/e2e/research/fleet"
	"heteroaccel.io/pkg/accel"
)

// request is one inference that a camera asks for.
type request struct {
	name, inference string
	// takes is how long it runs on each kind.
	takes map[accel.Kind]time.Duration
}

// draws hands out the requests of one inference. Single runs differ by factors
// that are log-normal with mean 1: of each block of them as many from every
// part of the distribution, in random order, so that a few hundred runs have
// the mean that they should.
type draws struct {
	f      *fleet.Fleet
	typ    fleet.Type
	prefix string
	r      *rand.Rand
	spread float64
	left   []float64
	n      int
}

// block is how many factors have mean 1 together.
const block = 12

func newDraws(f *fleet.Fleet, typ int, prefix string, s settings) *draws {
	return &draws{f: f, typ: f.Types[typ], prefix: prefix, spread: s.spread, r: rand.New(rand.NewPCG(s.seed, uint64(typ)))}
}

// next returns a request under a name that no other has.
func (d *draws) next() *request {
	if len(d.left) == 0 {
		d.left = factors(block, d.spread)
		d.r.Shuffle(block, func(a, b int) { d.left[a], d.left[b] = d.left[b], d.left[a] })
	}
	factor := d.left[0]
	d.left = d.left[1:]
	d.n++
	q := &request{name: fmt.Sprintf("%s-%s-%d", d.prefix, d.typ.Name, d.n), inference: d.typ.Name, takes: map[accel.Kind]time.Duration{}}
	for j, k := range d.f.Kinds {
		q.takes[k.Name] = time.Duration(factor * float64(d.typ.Service[j])).Round(time.Millisecond)
	}
	return q
}

// factors are n of a log-normal distribution, one from the middle of each of n
// equally likely parts, scaled to mean 1.
func factors(n int, sigma float64) []float64 {
	out, sum := make([]float64, n), 0.0
	for i := range out {
		p := (float64(i) + .5) / float64(n)
		out[i] = math.Exp(sigma * math.Sqrt2 * math.Erfinv(2*p-1))
		sum += out[i]
	}
	for i := range out {
		out[i] *= float64(n) / sum
	}
	return out
}

// arrivals are the times of a Poisson process until horizon.
func arrivals(r *rand.Rand, perSecond float64, horizon time.Duration) (at []time.Duration) {
	var t float64
	for {
		t += r.ExpFloat64() / perSecond
		if t >= horizon.Seconds() {
			return at
		}
		at = append(at, time.Duration(t*float64(time.Second)))
	}
}
