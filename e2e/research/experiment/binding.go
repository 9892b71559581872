package main

import (
	"context"
	"fmt"
	"io"
	"slices"
	"time"

	"heteroaccel.io/e2e/stack"
	"heteroaccel.io/pkg/accel"
)

// claimEnds are how many claims ended in which way, and how long their pods had waited
// with them, in seconds: the webhook's counters.
type claimEnds struct{ count, seconds map[string]float64 }

// claimEnds reads them; there are none where pods are not bound late.
func (s *site) claimEnds(ctx context.Context) (claimEnds, error) {
	e := claimEnds{map[string]float64{}, map[string]float64{}}
	if !s.late {
		return e, nil
	}
	all, err := stack.Metrics(ctx, s.stack.URL("webhook status", "/metrics"))
	if err != nil {
		return e, err
	}
	for _, end := range []string{"first", "moved", "better", "mispredicted", "denied"} {
		for of, name := range map[*map[string]float64]string{&e.count: "claim_ends", &e.seconds: "claim_wait_seconds"} {
			metric := fmt.Sprintf("heteroaccel_webhook_%s_total{end=%q}", name, end)
			n, ok := all[metric]
			if !ok {
				return e, fmt.Errorf("the webhook has no metric %s", metric)
			}
			(*of)[end] = n
		}
	}
	return e, nil
}

// since is what was counted after before.
func (e claimEnds) since(before claimEnds) claimEnds {
	diff := claimEnds{map[string]float64{}, map[string]float64{}}
	for end := range e.count {
		diff.count[end], diff.seconds[end] = e.count[end]-before.count[end], e.seconds[end]-before.seconds[end]
	}
	return diff
}

// anew reports whether the pod of a run was given another kind while it waited.
func (r run) anew() bool { return r.moved || r.made > 0 }

// freed are the times from the end of a run until a pod that waited then was bound to the
// same kind, of which there is one device each.
func freed(runs []run) (stayed, moved []float64) {
	byKind := map[accel.Kind][]run{}
	for _, r := range runs {
		if !r.bound.IsZero() && r.kind != "" {
			byKind[r.kind] = append(byKind[r.kind], r)
		}
	}
	for _, of := range byKind {
		slices.SortFunc(of, func(a, b run) int { return a.bound.Compare(b.bound) })
		for i := 1; i < len(of); i++ {
			before, after := of[i-1], of[i]
			if before.ended.IsZero() || !after.submitted.Before(before.ended) {
				continue
			}
			took := after.bound.Sub(before.ended).Seconds()
			switch {
			case after.anew():
				moved = append(moved, took)
			case after.waited:
				stayed = append(stayed, took)
			}
		}
	}
	slices.Sort(stayed)
	slices.Sort(moved)
	return stayed, moved
}

// bindingTable prints early beside late: completions, how often pods were given another
// kind, how soon what frees is bound, and what predictions were wrong.
func bindingTable(out io.Writer, results []named) error {
	fmt.Fprintf(out, "\nEarly against late binding: pods that were given another kind, from the end of a run until the next pod is bound, and how claims ended\n\n")
	t := table(out)
	fmt.Fprint(t, "\tof the bound\ta second\tmean latency\tpods\tother kind\tfreed, stayed\tfreed, moved\tfirst\tbetter\tmispredicted\tafter\tper 1,000 pods\t\n")
	for _, r := range results {
		part := "-"
		if r.part > 0 {
			part = fmt.Sprintf("%.0f %%", 100*r.part)
		}
		fmt.Fprintf(t, "%s\t%s\t%.3f\t%s\t%d\t%d\t%s\t%s\t", r.name, part, r.perSecond(), meanOf(r.latencies[""]), r.pods, r.result.moved, medianOf(r.freedStayed), medianOf(r.freedMoved))
		if len(r.claims.count) == 0 {
			fmt.Fprint(t, "-\t-\t-\t-\t-\t\n")
			continue
		}
		wrong, after := r.claims.count["mispredicted"], "-"
		if wrong > 0 {
			after = fmt.Sprintf("%.1fs", r.claims.seconds["mispredicted"]/wrong)
		}
		fmt.Fprintf(t, "%.0f\t%.0f\t%.0f\t%s\t%.1f\t\n", r.claims.count["first"], r.claims.count["better"], wrong, after, 1000*wrong/max(1, float64(r.pods)))
	}
	return t.Flush()
}

func meanOf(seconds []float64) string {
	if len(seconds) == 0 {
		return "-"
	}
	sum := 0.0
	for _, s := range seconds {
		sum += s
	}
	return fmt.Sprintf("%.2fs", sum/float64(len(seconds)))
}

// medianOf is a median and of how many.
func medianOf(sorted []float64) string {
	if len(sorted) == 0 {
		return "-"
	}
	return fmt.Sprintf("%s of %d", short(time.Duration(quantile(sorted, .5)*float64(time.Second))), len(sorted))
}
