package main

import (
	"fmt"
	"io"
	"sort"
	"text/tabwriter"
	"time"

	"gonum.org/v1/gonum/stat"

	"heteroaccel.io/e2e/research/fleet"
	"heteroaccel.io/pkg/accel"
)

// named is a result under the name that tables call it.
type named struct {
	name string
	result
	// part is the rate of the arrivals, in parts of the bound; 0 for cameras.
	part float64
	// claims is how the claims of pods that are bound late ended.
	claims claimEnds
}

func table(out io.Writer) *tabwriter.Writer {
	return tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
}

// each prints a cell for every kind.
func each(t io.Writer, f *fleet.Fleet, cell func(accel.Kind) string) {
	for _, k := range f.Kinds {
		fmt.Fprint(t, cell(k.Name), "\t")
	}
}

// quantiles are the cells of mean, median, 95th and 99th percentile of sorted
// seconds; of none they are dashes.
func quantiles(l []float64) string {
	if len(l) == 0 {
		return "-\t-\t-\t-\t"
	}
	return fmt.Sprintf("%s\t%s\t%s\t%s\t", seconds(stat.Mean(l, nil)), seconds(quantile(l, .5)), seconds(quantile(l, .95)), seconds(quantile(l, .99)))
}

// paperTable prints what the paper's Table 4 has: completions in all and by
// accelerator, the interval, and the improvement over the first line.
func paperTable(out io.Writer, f *fleet.Fleet, stretch float64, results []named) error {
	fmt.Fprintf(out, "\nCompletions, as in the paper's Table 4 (inferences a second are × %g, to compare with it)\n\n", stretch)
	t := table(out)
	fmt.Fprint(t, "\ttotal\t")
	each(t, f, func(k accel.Kind) string { return string(k) })
	fmt.Fprint(t, "interval\ta second\timprovement\tbound\tshare of it\trecreated\t\n")
	base := results[0].perSecond()
	for i, r := range results {
		fmt.Fprintf(t, "%s\t%d\t", r.name, r.total)
		each(t, f, func(k accel.Kind) string { return fmt.Sprint(r.ended[k]) })
		improvement := "-"
		if i > 0 {
			improvement = fmt.Sprintf("%+.1f %%", 100*(r.perSecond()/base-1))
		}
		fmt.Fprintf(t, "%s\t%.2f\t%s\t%.2f\t%.1f %%\t%d\t\n", r.interval, r.perSecond()*stretch, improvement,
			r.bound*stretch, 100*r.perSecond()/r.bound, r.made)
	}
	return t.Flush()
}

// latencyTable prints from request to end, for each inference, and how long the
// oldest request had waited that had not ended: with nothing but latencies, who
// is never served would not be seen.
func latencyTable(out io.Writer, f *fleet.Fleet, results []named) error {
	fmt.Fprintf(out, "\nLatency, from the request to the end of the run, and the oldest request without an end\n\n")
	t := table(out)
	fmt.Fprint(t, "\tinference\truns\tmean\tmedian\tp95\tp99\toldest\t\n")
	for _, r := range results {
		line := func(name, of string) {
			l := r.latencies[of]
			fmt.Fprintf(t, "%s\t%s\t%d\t%s%s\t\n", r.name, name, len(l), quantiles(l), seconds(r.waiting[of]))
		}
		line("all", "")
		for _, typ := range f.Types {
			line(typ.Name, typ.Name)
		}
	}
	return t.Flush()
}

// deadlineTable prints what deadlines cost and gain: how many runs took longer than each,
// whether or not their pods had it. Those that never ended took longer than all.
func deadlineTable(out io.Writer, deadlines []time.Duration, results []named) error {
	fmt.Fprintf(out, "\nDeadlines: throughput, the slowest, and runs that took longer\n\n")
	t := table(out)
	fmt.Fprint(t, "\tof the bound\ta second\tmedian\tp99\t")
	for _, d := range deadlines {
		fmt.Fprintf(t, "over %s\t", d)
	}
	fmt.Fprintln(t)
	for _, r := range results {
		load, l := "cameras", r.latencies[""]
		if r.part > 0 {
			load = fmt.Sprintf("%.0f %%", 100*r.part)
		}
		median, p99 := "-", "-"
		if len(l) > 0 {
			median, p99 = seconds(quantile(l, .5)), seconds(quantile(l, .99))
		}
		fmt.Fprintf(t, "%s\t%s\t%.3f\t%s\t%s\t", r.name, load, r.perSecond(), median, p99)
		for _, d := range deadlines {
			fmt.Fprintf(t, "%s\t", r.over(d))
		}
		fmt.Fprintln(t)
	}
	return t.Flush()
}

// over is which part of the runs took longer than that, as a cell of a table.
func (r result) over(d time.Duration) string {
	l := r.latencies[""]
	all := len(l) + r.unserved
	if all == 0 {
		return "-"
	}
	inTime := sort.Search(len(l), func(i int) bool { return l[i] > d.Seconds() })
	return fmt.Sprintf("%.1f %%", 100*float64(all-inTime)/float64(all))
}

// busyTable prints how much of the time each kind ran something, and what
// starting pods took.
func busyTable(out io.Writer, f *fleet.Fleet, results []named) error {
	fmt.Fprintf(out, "\nUtilisation, and how long pods took to start: when something was idle, and after the one before\n\n")
	t := table(out)
	fmt.Fprint(t, "\t")
	each(t, f, func(k accel.Kind) string { return string(k) })
	fmt.Fprint(t, "idle: start after\thand-over\t\n")
	for _, r := range results {
		fmt.Fprintf(t, "%s\t", r.name)
		each(t, f, func(k accel.Kind) string { return fmt.Sprintf("%.1f %%", 100*r.busy[k]) })
		fmt.Fprintf(t, "%s\t%s\t\n", short(r.startup), short(r.handover))
	}
	return t.Flush()
}

// openTable prints what random arrivals came to.
func openTable(out io.Writer, f *fleet.Fleet, results []named) error {
	fmt.Fprintf(out, "\nRandom arrivals (Poisson), every inference as often\n\n")
	t := table(out)
	fmt.Fprint(t, "\tof the bound\truns\tunserved\tmean\tmedian\tp95\tp99\t")
	each(t, f, func(k accel.Kind) string { return string(k) + " busy" })
	fmt.Fprint(t, "recreated\t\n")
	for _, r := range results {
		l := r.latencies[""]
		fmt.Fprintf(t, "%s\t%.0f %%\t%d\t%d\t%s", r.name, 100*r.part, len(l), r.unserved, quantiles(l))
		each(t, f, func(k accel.Kind) string { return fmt.Sprintf("%.0f %%", 100*r.busy[k]) })
		fmt.Fprintf(t, "%d\t\n", r.made)
	}
	return t.Flush()
}

func seconds(s float64) string { return fmt.Sprintf("%.1fs", s) }

func short(d time.Duration) string {
	if d == 0 {
		return "-"
	}
	return d.Round(time.Millisecond).String()
}
