package policy

import (
	"fmt"
	"strings"
	"time"
)

// overdue reports whether a pod is expected to miss its deadline there, and to make it
// on another candidate.
func (r Ranked) overdue(other Ranked) bool { return r.Late && !other.Late }

// over says what a run exceeds that ends too late.
func (r Ranked) over() string {
	d := r.Deadline
	switch {
	case d.Left >= d.Of:
		return "the deadline of " + exact(d.Of)
	case d.Left <= 0:
		return fmt.Sprintf("the deadline of %s, which has passed", exact(d.Of))
	}
	return fmt.Sprintf("the %s left of its deadline of %s", exact(roundLeft(d.Left)), exact(d.Of))
}

// roundLeft leaves of a time what tells whether a run fits in.
func roundLeft(d time.Duration) time.Duration {
	switch {
	case d >= time.Minute:
		return d.Truncate(time.Second)
	case d >= time.Second:
		return d.Truncate(100 * time.Millisecond)
	}
	return d.Truncate(time.Millisecond)
}

// overdueSummary is summary for a kind that is overdue.
func (r Ranked) overdueSummary(weight int) string {
	switch {
	case r.Finish == Never:
		return r.summary(weight)
	case r.Idle() > 0 && (r.Service <= 0 || r.guessed()):
		return fmt.Sprintf("%s %s, not timed yet, but is expected to take %s, over %s", r.Kind, r.freeWhere(weight), round(r.Finish), r.over())
	case r.Idle() > 0:
		return fmt.Sprintf("%s %s, but would take %s, over %s", r.Kind, r.freeWhere(weight), round(r.Finish), r.over())
	default:
		return fmt.Sprintf("%s taken (%s), and would be done in %s, over %s", r.Kind, r.freeText(), round(r.Finish), r.over())
	}
}

// missed says that no kind is expected to make the deadline, "" where one is, or where
// there is no deadline to make.
func missed(ranked []Ranked) string {
	switch first := ranked[0]; {
	case !first.Late:
		return ""
	case first.Deadline.Left <= 0:
		return fmt.Sprintf("its deadline of %s has passed", exact(first.Deadline.Of))
	default:
		return "no kind is expected to be done within " + first.over()
	}
}

// exact is a duration as people write it: "1m30s", "1h".
func exact(d time.Duration) string {
	s := d.String()
	for _, zero := range []string{"m0s", "h0m"} {
		if strings.HasSuffix(s, zero) {
			s = s[:len(s)-2]
		}
	}
	return s
}
