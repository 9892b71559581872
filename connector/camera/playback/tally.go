package playback

import (
	"sync"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// Loss is why a frame was lost.
type Loss string

// The losses of frames.
const (
	Waiting Loss = "waiting" // there was no server
	Busy    Loss = "busy"    // the frame before it was still being inferred
	Failed  Loss = "failed"  // the server refused it, went away or took too long
)

// Tally counts what becomes of cameras, of one or of many.
type Tally struct {
	began time.Time

	mu        sync.Mutex
	report    Report
	latencies map[string]*hdrhistogram.Histogram // by kind, and "" for all
	waits     *hdrhistogram.Histogram
}

// histogram has microseconds up to an hour, to three digits.
func histogram() *hdrhistogram.Histogram {
	return hdrhistogram.New(1, time.Hour.Microseconds(), 3)
}

// NewTally returns a tally that begins now.
func NewTally() *Tally {
	return &Tally{
		began: time.Now(), waits: histogram(), latencies: map[string]*hdrhistogram.Histogram{"": histogram()},
		report: Report{Frames: Frames{Lost: map[Loss]int64{Waiting: 0, Busy: 0, Failed: 0}}},
	}
}

func (t *Tally) count(change func(r *Report)) {
	t.mu.Lock()
	defer t.mu.Unlock()
	change(&t.report)
}

func (t *Tally) opened()       { t.count(func(r *Report) { r.Sessions++ }) }
func (t *Tally) ended()        { t.count(func(r *Report) { r.Ended++ }) }
func (t *Tally) moved(n int)   { t.count(func(r *Report) { r.Moves += int64(n) }) }
func (t *Tally) lost(why Loss) { t.count(func(r *Report) { r.Frames.Lost[why]++ }) }
func (t *Tally) sent()         { t.count(func(r *Report) { r.Frames.Sent++ }) }
func (t *Tally) cut()          { t.count(func(r *Report) { r.Frames.Cut++ }) }

func (t *Tally) answered(kind string, took time.Duration) {
	t.count(func(r *Report) {
		r.Frames.Answered++
		if t.latencies[kind] == nil {
			t.latencies[kind] = histogram()
		}
		record(t.latencies[""], took)
		if kind != "" {
			record(t.latencies[kind], took)
		}
	})
}

func (t *Tally) waited(d time.Duration) {
	t.count(func(*Report) { record(t.waits, d) })
}

// record takes a time; one beyond the histogram's hour is an hour.
func record(h *hdrhistogram.Histogram, d time.Duration) {
	_ = h.RecordValue(min(d.Microseconds(), h.HighestTrackableValue())) // it fails only beyond that
}

// Report returns what was counted until now.
func (t *Tally) Report(cameras int) Report {
	t.mu.Lock()
	defer t.mu.Unlock()
	r := t.report
	r.Cameras, r.Seconds = cameras, time.Since(t.began).Seconds()
	r.Frames.Lost = map[Loss]int64{}
	for why, n := range t.report.Frames.Lost {
		r.Frames.Lost[why] = n
	}
	r.Latency, r.Waits = timesOf(t.latencies[""]), timesOf(t.waits)
	r.Kinds = map[string]Times{}
	for kind, h := range t.latencies {
		if kind != "" {
			r.Kinds[kind] = timesOf(h)
		}
	}
	return r
}
