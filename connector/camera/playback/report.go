package playback

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"text/tabwriter"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// Report is what became of cameras.
type Report struct {
	Cameras int     `json:"cameras"`
	Seconds float64 `json:"seconds"`
	// Sessions is how many were had, and Ended how many of them ended before
	// their camera did, as those that were not renewed in time.
	Sessions int64 `json:"sessions"`
	Ended    int64 `json:"ended"`
	// Moves is how often a session was given another server because the one it
	// had went away.
	Moves int64 `json:"moves"`
	// Waits are from the moment that a camera had no server to its next.
	Waits  Times  `json:"waits"`
	Frames Frames `json:"frames"`
	// Latency is from the request to the answer, of frames that were inferred on;
	// Kinds has it by kind of accelerator.
	Latency Times            `json:"latency"`
	Kinds   map[string]Times `json:"kinds"`
}

// Frames counts frames: Sent is Answered, Cut and a part of those lost as failed.
type Frames struct {
	Sent     int64 `json:"sent"`
	Answered int64 `json:"answered"`
	// Cut were under way when the camera was stopped.
	Cut  int64          `json:"cut"`
	Lost map[Loss]int64 `json:"lost"`
}

// Times are a distribution, in milliseconds; 0 when there is none.
type Times struct {
	Count int64   `json:"count"`
	P50   float64 `json:"p50"`
	P90   float64 `json:"p90"`
	P99   float64 `json:"p99"`
	Max   float64 `json:"max"`
}

func timesOf(h *hdrhistogram.Histogram) Times {
	if h.TotalCount() == 0 {
		return Times{}
	}
	ms := func(micros int64) float64 { return float64(micros) / 1e3 }
	return Times{
		Count: h.TotalCount(), Max: ms(h.Max()),
		P50: ms(h.ValueAtPercentile(50)), P90: ms(h.ValueAtPercentile(90)), P99: ms(h.ValueAtPercentile(99)),
	}
}

// Write writes it as a table.
func (r Report) Write(out io.Writer) error {
	t := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintf(t, "cameras\t%d for %.1fs\n", r.Cameras, r.Seconds)
	fmt.Fprintf(t, "sessions\t%d, %d ended early, %d moves\n", r.Sessions, r.Ended, r.Moves)
	lost := r.Frames.Lost
	fmt.Fprintf(t, "frames\t%d sent, %d answered, %d cut\n", r.Frames.Sent, r.Frames.Answered, r.Frames.Cut)
	fmt.Fprintf(t, "lost\t%d: %d without a server, %d while one was busy, %d failed\n",
		lost[Waiting]+lost[Busy]+lost[Failed], lost[Waiting], lost[Busy], lost[Failed])
	fmt.Fprintln(t)
	fmt.Fprintln(t, "ms\tcount\tp50\tp90\tp99\tmax")
	line := func(name string, x Times) {
		fmt.Fprintf(t, "%s\t%d\t%.1f\t%.1f\t%.1f\t%.1f\n", name, x.Count, x.P50, x.P90, x.P99, x.Max)
	}
	line("wait for a server", r.Waits)
	line("latency", r.Latency)
	for _, kind := range slices.SortedFunc(maps.Keys(r.Kinds), cmp.Compare[string]) {
		line("latency "+kind, r.Kinds[kind])
	}
	return t.Flush()
}
