package narrate

import (
	"fmt"
	"io"
	"time"
)

// Step is one of the steps of a flow, as it was observed.
type Step struct {
	// Name says what it is, and Seen what was seen of it.
	Name, Seen string
	// At is when it was done; the zero time for one that is a part of the next,
	// of which only Took is known.
	At   time.Time
	Took time.Duration
}

// numbers are those of the steps, as the paper writes them.
var numbers = []rune("①②③④⑤⑥⑦⑧⑨⑩")

// WriteSteps writes numbered steps, with the time of each since the flow began and
// since the step before. It fails with ErrShown when one was not observed. Watches
// tell of steps: one that is told of before the step that led to it took no time.
func WriteSteps(out io.Writer, began time.Time, steps ...Step) error {
	fmt.Fprintf(out, "   %-8s %-8s %s\n", "AFTER", "TOOK", "STEP")
	last := began
	for i, s := range steps {
		after, took := "", s.Took
		if s.At.IsZero() == (s.Took == 0) {
			return fmt.Errorf("%w: nothing was seen of step %c, %s", ErrShown, numbers[i], s.Name)
		}
		if !s.At.IsZero() {
			after, took = exact(s.At.Sub(began)), max(0, s.At.Sub(last))
			last = s.At
		}
		label := fmt.Sprintf("%c  %-8s %-8s ", numbers[i], after, exact(took))
		fmt.Fprintln(out, label+s.Name)
		fmt.Fprintln(out, Wrap(fmt.Sprintf("%*s", len([]rune(label)), ""), s.Seen))
	}
	return nil
}

// exact is a time to a tenth of a millisecond.
func exact(d time.Duration) string { return fmt.Sprintf("%.1fms", float64(d.Microseconds())/1e3) }
