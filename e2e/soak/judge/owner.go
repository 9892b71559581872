// Package judge says what of a soak's end is wrong.
//
// What owners have and want, what the API server and the scheduler said when
// they were asked, enter; failures and remarks leave. All of it is pure.
package judge

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"

	"heteroaccel.io/pkg/accel"
)

// Owner is how an owner of pods stands in the end.
type Owner struct {
	// Name is unique; Title is for people.
	Name, Title string
	// Want is how many pods it wants, Live how many it has, and Owed how many
	// it had that went without good reason, those that are there included.
	Want, Live, Owed int
	// ShortSince is since when Live is less than Want.
	ShortSince time.Time
	// Refusals are what the API server says to a pod pinned by hand to each of
	// the allowed kinds, "" where it would take it. Filled in for one that is
	// short.
	Refusals map[accel.Kind]string
	// Controller is what its controller was told last.
	Controller string
	// PausesUntil is until when its controller creates none by itself, the zero
	// time where it does not pause: see JobPause.
	PausesUntil time.Time
}

// Outcome is what became of an owner's pods.
type Outcome string

// The outcomes of an owner. Refused is no loss: the API server takes no allowed
// kind, and never had an owner's pod taken that is missing now.
const (
	Complete Outcome = "complete"
	Extra    Outcome = "too many"
	Refused  Outcome = "refused"
	Lost     Outcome = "lost"
	NotMade  Outcome = "not made" // never there, though a kind is admitted
	Paused   Outcome = "paused"   // its controller waits before it creates more
)

// Outcome judges an owner.
func (o *Owner) Outcome() Outcome {
	taken := false
	for _, why := range o.Refusals {
		taken = taken || why == ""
	}
	switch {
	case o.Live == o.Want:
		return Complete
	case o.Live > o.Want:
		return Extra
	case o.Live < o.Owed:
		return Lost
	case taken && !o.PausesUntil.IsZero():
		return Paused
	case taken || len(o.Refusals) == 0:
		return NotMade
	}
	return Refused
}

// Failed reports whether the outcome is one that must not be.
func (o Outcome) Failed() bool { return o == Extra || o == Lost || o == NotMade }

// String is an owner that is not complete, for people.
func (o *Owner) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %s: has %d of %d pods", o.Outcome(), o.Title, o.Live, o.Want)
	if o.Owed > o.Live {
		fmt.Fprintf(&b, ", had %d", o.Owed)
	}
	if !o.ShortSince.IsZero() {
		fmt.Fprintf(&b, ", fewer than it wants since %s", o.ShortSince.Format(time.TimeOnly))
	}
	if !o.PausesUntil.IsZero() {
		fmt.Fprintf(&b, ", its controller pauses after pods that failed, until %s", o.PausesUntil.Format(time.TimeOnly))
	}
	for _, k := range slices.Sorted(maps.Keys(o.Refusals)) {
		fmt.Fprintf(&b, "\n    pinned to %s the API server says: %s", k, cmp.Or(o.Refusals[k], "it would take it"))
	}
	if o.Controller != "" {
		fmt.Fprintf(&b, "\n    its controller was told: %s", o.Controller)
	}
	return b.String()
}

// Job is how many live pods a Job is to have: as many as it runs at a time,
// but no more than are still to succeed; none once it is over.
func Job(parallelism, completions, succeeded int, over bool) int {
	if over {
		return 0
	}
	return max(0, min(parallelism, completions-succeeded))
}

// JobPause is until when the Job controller creates no pod after so many of a
// Job's failed, the last of them at the given time, the zero time when it does
// not wait. A pod that the scheduler preempted has failed too. It is 10 s after
// the first, doubling with each further one, up to ten minutes
// (DefaultJobPodFailureBackOff and MaxJobPodFailureBackOff of the controller);
// that a success in between begins it over is left out.
func JobPause(failed int, last, now time.Time) time.Time {
	if failed <= 0 || last.IsZero() {
		return time.Time{}
	}
	pause, longest := 10*time.Second, 10*time.Minute
	for range failed - 1 {
		if pause *= 2; pause >= longest {
			pause = longest
			break
		}
	}
	// It looks again once the pause is over, and then creates.
	if until := last.Add(pause + 5*time.Second); now.Before(until) {
		return until
	}
	return time.Time{}
}

// Leftovers are what a re-admission leaves behind that was not finished:
// records, pods taken from a Job, pods made to wake the scheduler.
func Leftovers(secrets []corev1.Secret, pods []*corev1.Pod, namespace string) (left []string) {
	for _, s := range secrets {
		if strings.HasPrefix(s.Name, "heteroaccel-readmission-") {
			left = append(left, fmt.Sprintf("secret %s/%s of %s", s.Namespace, s.Name, s.CreationTimestamp.Format(time.TimeOnly)))
		}
	}
	for _, p := range pods {
		switch {
		case p.Labels[accel.ReleasedLabel] != "":
			left = append(left, fmt.Sprintf("pod %s/%s, taken from its Job", p.Namespace, p.Name))
		case p.Labels[accel.SuccessorLabel] != "":
			left = append(left, fmt.Sprintf("pod %s/%s, created in the place of another", p.Namespace, p.Name))
		case p.Namespace == namespace:
			left = append(left, fmt.Sprintf("pod %s/%s", p.Namespace, p.Name))
		case p.DeletionTimestamp != nil:
			left = append(left, fmt.Sprintf("pod %s/%s, being deleted since %s", p.Namespace, p.Name, p.DeletionTimestamp.Format(time.TimeOnly)))
		}
	}
	return left
}
