package judge

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"heteroaccel.io/pkg/accel"
)

// Try is what became of one twin of a pod that waits.
type Try struct {
	Kind accel.Kind
	// Node is where the scheduler bound it, "" if it did not.
	Node string
	// Refused is what the API server said, Message what the scheduler did.
	Refused, Message string
}

// Wait is a pod that waits for Own when all has come to rest and nothing is
// moved.
type Wait struct {
	Pod, Owner string
	Own        accel.Kind
	// Since is since when a pod of that name waits, Moves how often it was
	// recreated for another kind.
	Since time.Time
	Moves int
	// Ending is when the pods end that hold what it waits for: how much longer
	// each is expected to run. Those that run until they are deleted are not
	// among them.
	Ending []time.Duration
	// Service is how long its own run is expected to take on a kind.
	Service map[accel.Kind]time.Duration
	// Message is the scheduler's own on the pod, Reason the webhook's, Page
	// what the extender tells people who ask about the pod.
	Message, Reason, Page string
	Tries                 []Try
	// Bound is where the pod was bound once the scheduler had another event,
	// "" for not.
	Bound string
}

// Verdict is what waiting comes to.
type Verdict string

// The verdicts on waiting. Justified is for people to look at: the scheduler
// would take the pod elsewhere, but what it waits for is about to be free.
const (
	Right     Verdict = "right"
	Justified Verdict = "justified"
	Stuck     Verdict = "stuck"
	Unknown   Verdict = "unknown" // the scheduler said nothing about a twin
)

// Verdict judges a wait. A pod that waits for its own kind while the scheduler
// would give it that is stuck, whatever runs; one that waits beside another
// kind is if nothing that holds its own ends by itself.
func (w *Wait) Verdict() Verdict {
	if w.Bound != "" {
		return Stuck
	}
	verdict := Right
	for _, t := range w.Tries {
		switch {
		case t.Node != "" && (t.Kind == w.Own || len(w.Ending) == 0):
			return Stuck
		case t.Node != "":
			verdict = Justified
		case t.Refused == "" && t.Message == "" && verdict == Right:
			verdict = Unknown
		}
	}
	return verdict
}

// Lines are the waits of a verdict in a line for each owner, kind and message.
func Lines(waits []*Wait, verdict Verdict) (lines []string) {
	type group struct{ owner, says string }
	pods := map[group]int{}
	var order []group
	for _, w := range waits {
		if w.Verdict() != verdict {
			continue
		}
		g := group{w.Owner, fmt.Sprintf("for %s: %s", w.Own, cmp.Or(w.Message, "the scheduler said nothing"))}
		if pods[g]++; pods[g] == 1 {
			order = append(order, g)
		}
	}
	for _, g := range order {
		lines = append(lines, fmt.Sprintf("%s: %d pods of %s wait %s", verdict, pods[g], g.owner, g.says))
	}
	return lines
}

// Beside are the devices that pods are stuck beside, each with how many: often
// it is one device and one cause.
func Beside(waits []*Wait) (lines []string) {
	pods := map[string]int{}
	for _, w := range waits {
		for _, t := range w.Tries {
			if t.Node != "" && w.Verdict() == Stuck {
				pods[fmt.Sprintf("%s of %s", t.Kind, t.Node)]++
			}
		}
	}
	for _, device := range slices.Sorted(maps.Keys(pods)) {
		lines = append(lines, fmt.Sprintf("%s: %d pods are stuck beside it", device, pods[device]))
	}
	return lines
}

// String is a wait with all that was said about it.
func (w *Wait) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: pod %s of %s waits for %s since %s", w.Verdict(), w.Pod, w.Owner, w.Own, w.Since.Format(time.TimeOnly))
	if w.Moves > 0 {
		fmt.Fprintf(&b, ", recreated %d times", w.Moves)
	}
	fmt.Fprintf(&b, "\n    the scheduler says: %s\n    the webhook says: %s", cmp.Or(w.Message, "nothing"), cmp.Or(w.Reason, "nothing"))
	if w.Bound != "" {
		fmt.Fprintf(&b, "\n    it was bound to %s as soon as something else happened: the scheduler had not looked again", w.Bound)
	}
	for _, t := range w.Tries {
		switch {
		case t.Node != "":
			fmt.Fprintf(&b, "\n    a twin pinned to %s was bound to %s", t.Kind, t.Node)
			if first, ok := soonest(w.Ending); ok && t.Kind != w.Own {
				fmt.Fprintf(&b, ": there %s, here %s and then %s", w.Service[t.Kind], first.Round(time.Second), w.Service[w.Own])
			}
		case t.Refused != "":
			fmt.Fprintf(&b, "\n    a twin pinned to %s was refused: %s", t.Kind, t.Refused)
		default:
			fmt.Fprintf(&b, "\n    a twin pinned to %s found no node: %s", t.Kind, cmp.Or(t.Message, "the scheduler said nothing"))
		}
	}
	if w.Page != "" {
		fmt.Fprintf(&b, "\n    the extender says:\n        %s", strings.ReplaceAll(strings.TrimSpace(w.Page), "\n", "\n        "))
	}
	return b.String()
}

func soonest(all []time.Duration) (time.Duration, bool) {
	if len(all) == 0 {
		return 0, false
	}
	first := all[0]
	for _, d := range all {
		first = min(first, d)
	}
	return first, true
}

// Rested is when a pod that was recreated so often, the last time at created,
// may be recreated again, given the first back-off: it doubles. Beyond longest
// nobody waits for it.
func Rested(created time.Time, moves int, backoff, longest time.Duration) time.Time {
	if moves <= 0 {
		return created
	}
	pause := backoff
	for range moves - 1 {
		if pause *= 2; pause >= longest {
			return created.Add(longest)
		}
	}
	return created.Add(min(pause, longest))
}

// Quantile is the value that a part of the sorted durations does not exceed.
func Quantile(sorted []time.Duration, part float64) time.Duration {
	if len(sorted) == 0 {
		return 0
	}
	return sorted[min(len(sorted)-1, int(part*float64(len(sorted))))]
}
