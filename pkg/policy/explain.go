package policy

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"heteroaccel.io/pkg/servicetime"
)

// Explain says in one sentence, for the person who reads the pod, why the first of
// a ranking was chosen, and how the others compare.
func Explain(ranked []Ranked) string {
	if len(ranked) == 0 {
		return ""
	}
	first, others := ranked[0], ranked[1:]
	var b strings.Builder
	switch {
	case first.Refused != nil && first.Refused.Quota != nil:
		fmt.Fprintf(&b, "the quotas of its namespace allow no kind: %s", first.summary(0))
	case first.Refused != nil:
		fmt.Fprintf(&b, "no kind is left to it: %s", first.summary(0))
	case first.Nodes == 0:
		nowhere := slices.DeleteFunc(slices.Clone(ranked), func(r Ranked) bool { return r.Refused != nil })
		fmt.Fprintf(&b, "no node could take this pod, with all it asks for, on %s: waits for %s", anyOf(nowhere), first.Kind)
		others = others[len(nowhere)-1:]
	case first.Idle() > 0 && first.weight() > 0:
		fmt.Fprintf(&b, "%s is free on %s, which it prefers (%d of %d in all), %s", first.Kind, first.PreferredNode, first.Idle(), first.Total, first.serviceText(others))
	case first.Idle() > 0:
		fmt.Fprintf(&b, "%s is free (%d of %d), %s", first.Kind, first.Idle(), first.Total, first.serviceText(others))
	case first.Finish == Never:
		fmt.Fprintf(&b, "nothing is free, nor expected to be: waits for %s (%s)", first.Kind, first.freeText())
	case sooner(others, first):
		fmt.Fprintf(&b, "waits for %s (%s), which is expected to be done in %s and leaves the others to those who gain more by them", first.Kind, first.freeText(), round(first.Finish))
	default:
		fmt.Fprintf(&b, "waits for %s (%s), which is expected to be done first, in %s", first.Kind, first.freeText(), round(first.Finish))
	}
	weight := 0
	if first.Idle() > 0 {
		weight = first.weight()
	}
	for _, r := range others {
		b.WriteString("; ")
		if r.overdue(first) {
			b.WriteString(r.overdueSummary(weight))
			continue
		}
		b.WriteString(r.summary(weight))
		if first.Trial == NoTrial && !first.Preferred && r.Refused == nil && r.Finish < first.Finish && r.Price > first.Price {
			b.WriteString(" but scarce")
		}
	}
	if why := missed(ranked); why != "" {
		b.WriteString("; ")
		b.WriteString(why)
	}
	return b.String()
}

// sooner reports whether one of the others would finish before first.
func sooner(others []Ranked, first Ranked) bool {
	return slices.ContainsFunc(others, func(r Ranked) bool { return r.Nodes > 0 && r.Refused == nil && r.Finish < first.Finish })
}

// serviceText says how long a run takes, or is expected to take.
func (r Ranked) serviceText(others []Ranked) string {
	switch {
	case r.Trial == FirstTrial:
		return "tried once to learn how long a run takes there"
	case r.Trial == AnotherTrial:
		return fmt.Sprintf("tried again to learn how long a run takes there: of the last ones one took %s, %s is expected", round(r.Timed.Least), round(r.Service))
	case r.Trial == OldTrial:
		return fmt.Sprintf("tried again: its last run was %s ago", round(r.Timed.Age))
	case r.Service <= 0:
		return "no run has been timed yet"
	case !r.guessed():
		return "a run takes " + round(r.Service)
	case slices.ContainsFunc(others, func(o Ranked) bool { return o.Nodes > 0 && o.Service > 0 && o.Service < r.Service }):
		return fmt.Sprintf("not timed yet, %s expected by %s", round(r.Service), r.basisText())
	}
	return "not timed yet, expected first by " + r.basisText()
}

// guessed reports whether the service time follows from other kinds' times, or
// from none at all.
func (r Ranked) guessed() bool { return r.basisText() != "" }

// basisText says what a guessed service time rests on, "" for one not guessed.
func (r Ranked) basisText() string {
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

// freeText is "0 of 2 free", with how many pods are ahead.
func (r Ranked) freeText() string {
	s := fmt.Sprintf("%d of %d free", r.Idle(), r.Total)
	switch ahead := max(0, r.Claimed) + max(0, r.Queued); {
	case ahead == 1:
		return s + ", 1 pod before it"
	case ahead > 1:
		return fmt.Sprintf("%s, %d pods before it", s, ahead)
	}
	return s
}

// summary says why a kind was not chosen in place of one that is idle on a node of
// a weight.
func (r Ranked) summary(weight int) string {
	switch {
	case r.Refused != nil && strings.HasPrefix(r.Refused.Reason, "was refused by "):
		return fmt.Sprintf("%s %s", r.Kind, r.Refused)
	case r.Refused != nil:
		return fmt.Sprintf("no %s (%s)", r.Kind, r.Refused)
	case r.Nodes == 0:
		return fmt.Sprintf("no %s", r.Kind)
	case r.Idle() > 0 && (r.Service <= 0 || r.guessed()):
		return fmt.Sprintf("%s %s, not timed yet", r.Kind, r.freeWhere(weight))
	case r.Idle() > 0:
		return fmt.Sprintf("%s %s, %s", r.Kind, r.freeWhere(weight), round(r.Finish))
	case r.Finish == Never:
		return fmt.Sprintf("%s taken for good (%s)", r.Kind, r.freeText())
	default:
		return fmt.Sprintf("%s taken (%s), %s", r.Kind, r.freeText(), round(r.Finish))
	}
}

// freeWhere says on which nodes an idle kind is free, compared with one that is
// idle on a node of a weight.
func (r Ranked) freeWhere(weight int) string {
	switch {
	case r.weight() > weight:
		return "free on " + r.PreferredNode + ", which it prefers"
	case r.weight() < weight:
		return "free elsewhere"
	}
	return "free"
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

// round rounds a duration for people to read.
func round(d time.Duration) string {
	switch {
	case d >= maxEstimate:
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
