package report

import (
	"fmt"
	"io"
	"math"
	"slices"
	"text/tabwriter"
	"time"
)

// Write prints a run as tables.
func (r Run) Write(out io.Writer) error {
	for _, write := range []func(io.Writer){r.writeThroughput, r.writeCPU, r.writeRequests, r.writeLatency} {
		table := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
		write(table)
		if err := table.Flush(); err != nil {
			return fmt.Errorf("write the tables: %w", err)
		}
	}
	return nil
}

// each calls do for each load and number of nodes, with its rounds ours and by hand.
func (r Run) each(do func(nodes int, load string, ours, hand []Round)) {
	for _, nodes := range r.sizes() {
		for _, load := range r.loads() {
			if ours, hand := r.of(nodes, load, Ours, ""), r.of(nodes, load, Hand, ""); len(ours) > 0 {
				do(nodes, load, ours, hand)
			}
		}
	}
}

func bound(r Round) float64   { return r.Bound }
func created(r Round) float64 { return r.Created }

func (r Run) writeThroughput(out io.Writer) {
	fmt.Fprintln(out, "nodes\tload\tbound/s\tby hand\tratio\tleast\tmost\tcreated/s\tby hand\tratio\tleast\tmost\t")
	r.each(func(nodes int, load string, ours, hand []Round) {
		if len(hand) == 0 {
			fmt.Fprintf(out, "%d\t%s\t%.0f\t\t\t\t\t%.0f\t\t\t\t\t\n", nodes, load, medianOf(ours, bound), medianOf(ours, created))
			return
		}
		b, c := RatioOf(ours, hand, bound), RatioOf(ours, hand, created)
		fmt.Fprintf(out, "%d\t%s\t%.0f\t%.0f\t%.2f\t%.2f\t%.2f\t%.0f\t%.0f\t%.2f\t%.2f\t%.2f\t\n", nodes, load,
			medianOf(ours, bound), medianOf(hand, bound), b.Median, b.Least, b.Most,
			medianOf(ours, created), medianOf(hand, created), c.Median, c.Least, c.Most)
	})
	fmt.Fprintln(out)
}

func (r Run) writeCPU(out io.Writer) {
	by := func(r Round) map[string]float64 { return r.CPU }
	programs := keys(r.Rounds, by)
	fmt.Fprint(out, "processor time, ms a pod\t\t\t")
	for _, p := range programs {
		fmt.Fprintf(out, "%s\t", p)
	}
	fmt.Fprintln(out, "all\t")
	r.eachWay(func(nodes int, load, way string, rounds []Round) {
		fmt.Fprintf(out, "%d\t%s\t%s\t", nodes, load, way)
		all := 0.0
		for _, p := range programs {
			v := medianOf(rounds, func(r Round) float64 { return r.CPU[p] })
			all += v
			fmt.Fprintf(out, "%.2f\t", v)
		}
		fmt.Fprintf(out, "%.2f\t\n", all)
	})
	fmt.Fprintln(out)
}

// eachWay calls do for each load, number of nodes and way.
func (r Run) eachWay(do func(nodes int, load, way string, rounds []Round)) {
	r.each(func(nodes int, load string, ours, hand []Round) {
		do(nodes, load, Ours, ours)
		if len(hand) > 0 {
			do(nodes, load, Hand, hand)
		}
	})
}

// notable is how often a pod a request has to be made to have a line.
const notable = 0.05

func (r Run) writeRequests(out io.Writer) {
	by := func(r Round) map[string]float64 { return r.Requests }
	r.eachWay(func(nodes int, load, way string, rounds []Round) {
		said := fmt.Sprintf("%d %s %s: requests a pod:", nodes, load, way)
		for _, k := range keys(rounds, by) {
			if v := medianOf(rounds, func(r Round) float64 { return r.Requests[k] }); v >= notable {
				said += fmt.Sprintf(" %s %.2f,", k, v)
			}
		}
		said = said[:len(said)-1] + "; batches:"
		for _, k := range keys(rounds, func(r Round) map[string]float64 { return r.Batches }) {
			said += fmt.Sprintf(" %s %.0f", k, medianOf(rounds, func(r Round) float64 { return r.Batches[k] }))
		}
		fmt.Fprintln(out, said)
	})
	fmt.Fprintln(out)
}

func (r Run) writeLatency(out io.Writer) {
	if len(r.Latencies) == 0 {
		return
	}
	fmt.Fprintln(out, "created to bound, one at a time\t\tp50\tp90\tp99\t")
	for _, l := range r.Latencies {
		way := l.Way
		if l.Late {
			way += ", DRA"
		}
		fmt.Fprintf(out, "%d nodes\t%s\t%s\t%s\t%s\t\n", l.Nodes, way, ms(l.P50), ms(l.P90), ms(l.P99))
		i := slices.IndexFunc(r.Latencies, func(h Latency) bool { return h.Nodes == l.Nodes && h.Late == l.Late && h.Way == Hand })
		if l.Way == Ours && i >= 0 {
			h := r.Latencies[i]
			fmt.Fprintf(out, "\tratio\t%.2f\t%.2f\t%.2f\t\n", over(l.P50, h.P50), over(l.P90, h.P90), over(l.P99, h.P99))
		}
	}
}

func ms(d time.Duration) string { return fmt.Sprintf("%.1f ms", float64(d)/float64(time.Millisecond)) }

// over is a ratio of durations, NaN where the second is 0.
func over(a, b time.Duration) float64 {
	if b == 0 {
		return math.NaN()
	}
	return float64(a) / float64(b)
}
