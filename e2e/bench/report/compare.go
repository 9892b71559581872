package report

import "fmt"

// Verdict is how a revision compares with another.
type Verdict string

// The verdicts.
const (
	Worse    Verdict = "worse"
	Better   Verdict = "better"
	Same     Verdict = "within the noise"
	TooShort Verdict = "too few rounds to tell"
)

const (
	// leastTurns is how many turns a verdict takes: that all of three go one way by chance
	// happens once in four.
	leastTurns = 3
	// leastChange is the change of the median below which nobody would notice.
	leastChange = 0.05
)

// verdictOf judges a ratio of what is better the more it is: it has to be on one side in
// every turn, and by more than what nobody would notice.
func verdictOf(r Ratio) Verdict {
	switch {
	case r.Turns < leastTurns:
		return TooShort
	case r.Most < 1 && r.Median < 1-leastChange:
		return Worse
	case r.Least > 1 && r.Median > 1+leastChange:
		return Better
	}
	return Same
}

// Change is how one measurement of a load differs between two revisions.
type Change struct {
	Nodes   int
	Load    string
	What    string
	Ratio   Ratio // of head to base, of what is better the more it is
	Verdict Verdict
}

// String is a line of a report.
func (c Change) String() string {
	return fmt.Sprintf("%d nodes, %s: %s %.2f of what it was (%.2f to %.2f): %s", c.Nodes, c.Load, c.What, c.Ratio.Median, c.Ratio.Least, c.Ratio.Most, c.Verdict)
}

// Compare compares the rounds of two revisions that took turns.
func (r Run) Compare(base, head string) (changes []Change) {
	for _, nodes := range r.sizes() {
		for _, load := range r.loads() {
			was, is := r.of(nodes, load, Ours, base), r.of(nodes, load, Ours, head)
			if len(was) == 0 || len(is) == 0 {
				continue
			}
			for _, m := range []struct {
				what string
				of   func(Round) float64
			}{
				{"pods bound a second", bound},
				{"pods created a second", created},
				{"pods for a second of our processor time", perOwnCPU},
			} {
				ratio := RatioOf(is, was, m.of)
				changes = append(changes, Change{Nodes: nodes, Load: load, What: m.what, Ratio: ratio, Verdict: verdictOf(ratio)})
			}
		}
	}
	return changes
}

// perOwnCPU is how many pods a second of the processor time of our programs is enough for.
func perOwnCPU(r Round) float64 {
	if own := r.CPU["webhook"] + r.CPU["extender"]; own > 0 {
		return 1000 / own
	}
	return 0
}
