package policy

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"heteroaccel.io/pkg/servicetime"
)

// Explain says in one sentence, for the person who reads the pod, why the
// first of a ranking was chosen, and how the others stand.
func Explain(ranked []Ranked) string {
	if len(ranked) == 0 {
		return ""
	}
	first, others := ranked[0], ranked[1:]
	var b strings.Builder
	switch {
	case first.Refused != nil && first.Refused.Quota != nil:
		fmt.Fprintf(&b, "the quotas of its namespace allow no kind: %s", first.short())
	case first.Refused != nil:
		fmt.Fprintf(&b, "no kind is left to it: %s", first.short())
	case first.Nodes == 0:
		nowhere := slices.DeleteFunc(slices.Clone(ranked), func(r Ranked) bool { return r.Refused != nil })
		fmt.Fprintf(&b, "no node could take this pod, with all it asks for, on %s: waits for %s", anyOf(nowhere), first.Kind)
		others = others[len(nowhere)-1:]
	case first.Idle() > 0:
		fmt.Fprintf(&b, "%s is free (%d of %d), %s", first.Kind, first.Idle(), first.Total, first.run(others))
	case first.Finish == Never:
		fmt.Fprintf(&b, "nothing is free, nor expected to be: waits for %s (%s)", first.Kind, first.taken())
	case sooner(others, first):
		fmt.Fprintf(&b, "waits for %s (%s), which is expected to be done in %s and leaves the others to those who gain more by them", first.Kind, first.taken(), about(first.Finish))
	default:
		fmt.Fprintf(&b, "waits for %s (%s), which is expected to be done first, in %s", first.Kind, first.taken(), about(first.Finish))
	}
	for _, r := range others {
		b.WriteString("; ")
		b.WriteString(r.short())
		if first.Trial == NoTrial && r.Refused == nil && r.Finish < first.Finish && r.Price > first.Price {
			b.WriteString(" but scarce")
		}
	}
	return b.String()
}

// sooner reports whether one of the others would be done before first.
func sooner(others []Ranked, first Ranked) bool {
	return slices.ContainsFunc(others, func(r Ranked) bool { return r.Nodes > 0 && r.Refused == nil && r.Finish < first.Finish })
}

// run is how long a run takes, or is expected to beside the others.
func (r Ranked) run(others []Ranked) string {
	switch {
	case r.Trial == FirstTrial:
		return "tried once to learn how long a run takes there"
	case r.Trial == AnotherTrial:
		return fmt.Sprintf("tried again to learn how long a run takes there: of the last ones one took %s, %s is expected", about(r.Timed.Least), about(r.Service))
	case r.Trial == OldTrial:
		return fmt.Sprintf("tried again: its last run was %s ago", about(r.Timed.Age))
	case r.Service <= 0:
		return "no run has been timed yet"
	case !r.guessed():
		return "a run takes " + about(r.Service)
	case slices.ContainsFunc(others, func(o Ranked) bool { return o.Nodes > 0 && o.Service > 0 && o.Service < r.Service }):
		return fmt.Sprintf("not timed yet, %s expected by %s", about(r.Service), r.grounds())
	}
	return "not timed yet, expected first by " + r.grounds()
}

// guessed reports whether the service time follows from other kinds' times, or
// from none at all.
func (r Ranked) guessed() bool { return r.grounds() != "" }

// grounds are what a guess follows from.
func (r Ranked) grounds() string {
	switch r.Basis {
	case servicetime.Speed:
		return "the profile's speeds"
	case servicetime.ProfileOrder:
		return "the profile's order"
	case servicetime.PodOrder:
		return "the pod's order"
	}
	return ""
}

// taken is "0 of 2 free", and who else is after it.
func (r Ranked) taken() string {
	s := fmt.Sprintf("%d of %d free", r.Idle(), r.Total)
	switch ahead := max(0, r.Claimed) + max(0, r.Queued); {
	case ahead == 1:
		return s + ", 1 pod before it"
	case ahead > 1:
		return fmt.Sprintf("%s, %d pods before it", s, ahead)
	}
	return s
}

// short is how a kind that was not chosen stands.
func (r Ranked) short() string {
	switch {
	case r.Refused != nil && strings.HasPrefix(r.Refused.Reason, "was refused by "):
		return fmt.Sprintf("%s %s", r.Kind, r.Refused)
	case r.Refused != nil:
		return fmt.Sprintf("no %s (%s)", r.Kind, r.Refused)
	case r.Nodes == 0:
		return fmt.Sprintf("no %s", r.Kind)
	case r.Idle() > 0 && (r.Service <= 0 || r.guessed()):
		return fmt.Sprintf("%s free, not timed yet", r.Kind)
	case r.Idle() > 0:
		return fmt.Sprintf("%s free, %s", r.Kind, about(r.Finish))
	case r.Finish == Never:
		return fmt.Sprintf("%s taken for good (%s)", r.Kind, r.taken())
	default:
		return fmt.Sprintf("%s taken (%s), %s", r.Kind, r.taken(), about(r.Finish))
	}
}

// anyOf is "GPU", or "GPU or NPU".
func anyOf(ranked []Ranked) string {
	kinds := make([]string, len(ranked))
	for i, r := range ranked {
		kinds[i] = string(r.Kind)
	}
	if len(kinds) == 1 {
		return kinds[0]
	}
	last := len(kinds) - 1
	return strings.Join(kinds[:last], ", ") + " or " + kinds[last]
}

// about rounds a duration to what a person cares for.
func about(d time.Duration) string {
	switch {
	case d >= longest:
		return "a year or more"
	case d < time.Millisecond:
		return d.Round(time.Microsecond).String()
	case d < time.Second:
		return d.Round(time.Millisecond).String()
	case d < time.Minute:
		return d.Round(100 * time.Millisecond).String()
	default:
		return strings.TrimSuffix(d.Round(time.Minute).String(), "0s")
	}
}
