// Package fleet describes what a simulation runs on: kinds and how many slots
// of each, the nodes that have them, and the inference types with their share
// of the arrivals and their service times on each kind.
//
// The name of a mix, sizes and a seed enter; an immutable Fleet leaves, the
// same one for the same arguments. It runs nothing.
package fleet

import (
	"time"

	"heteroaccel.io/e2e/research/bound"
	"heteroaccel.io/pkg/accel"
)

// Fleet is a cluster and what is asked of it.
type Fleet struct {
	Name  string
	Kinds []Kind
	Nodes []Node
	Types []Type
}

// Kind is one kind of accelerator and its slots in the whole fleet.
type Kind struct {
	Name  accel.Kind
	Slots int
}

// Node has so many slots of each kind, in the order of Fleet.Kinds.
type Node struct{ Slots []int }

// Type is one inference.
type Type struct {
	Name string
	// Share is its part of the arrivals; the shares add up to 1.
	Share float64
	// Service is its mean service time by kind, 0 where it has no variant.
	Service []time.Duration
}

// Slots is how many slots there are in all.
func (f *Fleet) Slots() (n int) {
	for _, k := range f.Kinds {
		n += k.Slots
	}
	return n
}

// Fastest is what a run of a type takes on the kind that is the fastest for it.
func (f *Fleet) Fastest(typ int) (least time.Duration) {
	for _, s := range f.Types[typ].Service {
		if s > 0 && (least == 0 || s < least) {
			least = s
		}
	}
	return least
}

// Problem states the fleet as the linear programme of its bound: how many
// arrivals a second it can serve when each run holds a slot for its service
// time and a pod's start-up.
func (f *Fleet) Problem(startup time.Duration) bound.Problem {
	p := bound.Problem{}
	for _, k := range f.Kinds {
		p.Slots = append(p.Slots, float64(k.Slots))
	}
	for _, t := range f.Types {
		hold := make([]float64, len(t.Service))
		for j, s := range t.Service {
			if s > 0 {
				hold[j] = (s + startup).Seconds()
			}
		}
		p.Share, p.Hold = append(p.Share, t.Share), append(p.Hold, hold)
	}
	return p
}
