package main

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"heteroaccel.io/e2e/research/fleet"
)

// table prints rounds, a line each. Share is of what could have been: what was
// offered, or in overload the bound.
type table struct{ *tabwriter.Writer }

func newTable(out io.Writer, f *fleet.Fleet, more ...string) *table {
	t := &table{tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)}
	var kinds []string
	for _, k := range f.Kinds {
		kinds = append(kinds, string(k.Name))
	}
	columns := append(more, "load", "policy", "runs/s", "share", "mean", "median", "p95", "p99", strings.Join(kinds, "/")+" busy", "waiting", "oldest", "moved", "µs/decision", "p99")
	fmt.Fprintln(t, strings.Join(columns, "\t")+"\t")
	return t
}

func (t *table) add(r round, more ...string) {
	var busy []string
	for _, b := range r.Busy {
		busy = append(busy, fmt.Sprintf("%.0f", 100*b))
	}
	load := "-"
	if r.Load > 0 {
		load = fmt.Sprintf("%.2f", r.Load)
	}
	columns := append(more,
		load, r.name, fmt.Sprintf("%.2f", r.Throughput), fmt.Sprintf("%.1f %%", 100*r.share()),
		seconds(r.Mean), seconds(r.Median), seconds(r.P95), seconds(r.P99),
		strings.Join(busy, "/")+" %", fmt.Sprint(r.Waiting), seconds(r.Oldest), fmt.Sprint(r.Moves),
		fmt.Sprintf("%.1f", float64(r.Deciding)/1e3), fmt.Sprintf("%.0f", float64(r.DecidingP99)/1e3))
	fmt.Fprintln(t, strings.Join(columns, "\t")+"\t")
}

func seconds(d time.Duration) string { return fmt.Sprintf("%.1f s", d.Seconds()) }
