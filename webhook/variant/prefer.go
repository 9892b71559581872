package variant

import (
	"slices"
	"time"

	"heteroaccel.io/pkg/inventory"
	"heteroaccel.io/pkg/servicetime"
)

// prefer reassigns the service times that rest on nothing but the profile's order:
// the shortest goes to the kind that the pod names first. Between two guesses its
// author's counts. Kinds with a hint, a learned time or a stated speed keep their
// time, and so does what the guesses were derived from.
func prefer(options []inventory.Option) {
	var guessed []int
	var times []time.Duration
	for i, o := range options {
		if o.Basis == servicetime.ProfileOrder {
			guessed, times = append(guessed, i), append(times, o.Service)
		}
	}
	if len(guessed) < 2 || slices.IsSorted(times) {
		return // the two orders agree
	}
	slices.Sort(times)
	for n, i := range guessed {
		options[i].Service, options[i].Basis = times[n], servicetime.PodOrder
	}
}

func (s Source) now() time.Time {
	if s.Now != nil {
		return s.Now()
	}
	return time.Now()
}
