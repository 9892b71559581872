package variant

import (
	"slices"
	"time"

	"heteroaccel.io/pkg/inventory"
	"heteroaccel.io/pkg/servicetime"
)

// prefer deals the times that rest on nothing but the order of the profile out
// anew, the shortest to the kind that the pod names first: between two guesses
// its author is believed. What was hinted, learned or has a stated speed keeps
// its time, and so does what the guesses were reckoned from.
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
