package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"heteroaccel.io/e2e/soak/judge"
	"heteroaccel.io/e2e/stack"
)

// report writes what came of it all, and counts what must not be.
func (s *soak) report(ctx context.Context, owners []*judge.Owner, left []string, waits []*judge.Wait) (failures int) {
	s.outMu.Lock()
	defer s.outMu.Unlock()
	took := s.ledger.Waits()
	fmt.Fprintf(s.out, "\n%d pods were created; those that were bound waited %s in the median, %s at the 99th percentile, %s at most\n",
		s.ledger.Made(), round(judge.Quantile(took, 0.5)), round(judge.Quantile(took, 0.99)), round(judge.Quantile(took, 1)))
	if owner, longest := s.ledger.Lacked(time.Now()); longest > 0 {
		fmt.Fprintf(s.out, "%s was without a pod that had been deleted for %s, the longest of all\n", s.owner[owner].Key(), round(longest))
	}
	for _, line := range s.counted(ctx) {
		fmt.Fprintln(s.out, line)
	}
	outcomes := map[judge.Outcome]int{}
	for _, o := range owners {
		outcomes[o.Outcome()]++
	}
	fmt.Fprintf(s.out, "owners: %s\n", tally(outcomes, judge.Complete, judge.Refused, judge.Lost, judge.Paused, judge.NotMade, judge.Extra))
	verdicts, twins := map[judge.Verdict]int{}, 0
	for _, w := range waits {
		verdicts[w.Verdict()]++
		twins += len(w.Tries)
	}
	fmt.Fprintf(s.out, "pods that wait: %d, after %d twins: %s\n", len(waits), twins, tally(verdicts, judge.Right, judge.Justified, judge.Stuck, judge.Unknown))
	for _, line := range judge.Beside(waits) {
		fmt.Fprintln(s.out, line)
	}
	for _, o := range owners {
		if o.Outcome() != judge.Complete {
			fmt.Fprintf(s.out, "\n%s\n", o)
		}
		if o.Outcome().Failed() {
			failures++
		}
	}
	fmt.Fprintf(s.out, "\n%s\n", strings.Join(judge.Lines(waits, judge.Right), "\n"))
	for _, w := range waits {
		if w.Verdict() != judge.Right {
			fmt.Fprintf(s.out, "\n%s\n", w)
		}
		if w.Verdict() == judge.Stuck || w.Verdict() == judge.Unknown {
			failures++
		}
	}
	for _, what := range left {
		fmt.Fprintf(s.out, "\nleft behind: %s\n", what)
		failures++
	}
	for _, what := range s.Crashes() {
		fmt.Fprintf(s.out, "\n%s\n", what)
		failures++
	}
	return failures
}

func round(d time.Duration) time.Duration { return d.Round(10 * time.Millisecond) }

// tally lists counts in an order.
func tally[K ~string](counts map[K]int, order ...K) string {
	var parts []string
	for _, k := range order {
		parts = append(parts, fmt.Sprintf("%d %s", counts[k], k))
	}
	return strings.Join(parts, ", ")
}

// counted are the webhook's own counts of re-admissions.
func (s *soak) counted(ctx context.Context) []string {
	text, err := stack.Get(ctx, s.URL("webhook status", "/metrics"))
	if err != nil {
		return []string{fmt.Sprintf("the webhook's metrics could not be read: %v", err)}
	}
	var lines []string
	for line := range strings.Lines(text) {
		if strings.HasPrefix(line, "heteroaccel_webhook_readmission") || strings.HasPrefix(line, "heteroaccel_webhook_scheduler_") {
			lines = append(lines, strings.TrimSpace(line))
		}
	}
	return lines
}
