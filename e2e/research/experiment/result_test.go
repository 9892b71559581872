package main

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"gonum.org/v1/gonum/stat"

	"heteroaccel.io/pkg/accel"
)

var zero = time.Unix(1_700_000_000, 0)

func at(seconds float64) time.Time {
	return zero.Add(time.Duration(seconds * float64(time.Second)))
}

// aRun asked, started and ended at so many seconds; an end of 0 is none yet.
func aRun(kind accel.Kind, asked, started, ended float64) run {
	r := run{
		request: &request{inference: "faces", takes: map[accel.Kind]time.Duration{kind: time.Duration((ended - started) * float64(time.Second))}},
		kind:    kind, submitted: at(asked), started: at(started),
	}
	if ended > 0 {
		r.ended = at(ended)
	}
	return r
}

func TestMeasure(t *testing.T) {
	w := window{at(10), at(20)}
	late := aRun("GPU", 17, 17.5, 19)
	late.waited = true
	again := aRun("NPU", 11, 15, 25)
	again.made = 1
	runs := []run{
		aRun("GPU", 4, 5, 9),     // over before it counts
		aRun("GPU", 8, 9, 13),    // ends within
		aRun("GPU", 13, 13.5, 0), // never ends, as far as is known
		late,                     // within
		again,                    // ends too late
		{request: &request{inference: "faces"}, submitted: at(12)}, // never started
	}
	got, err := measure(runs, w, byEnd, paper(1))
	if err != nil {
		t.Fatal(err)
	}
	want := result{
		interval: 10 * time.Second, total: 2, ended: map[accel.Kind]int{"GPU": 2}, made: 1,
		busy:      map[accel.Kind]float64{"GPU": .3 + .65 + .15, "NPU": .5},
		latencies: map[string][]float64{"": {2, 5}, "faces": {2, 5}},
		startup:   time.Second,
		waiting:   map[string]float64{"": 9, "faces": 9}, // again's: it ends too late
	}
	compare := cmp.Options{cmp.AllowUnexported(result{}), cmpopts.IgnoreFields(result{}, "bound"), cmpopts.EquateApprox(0, 1e-9)}
	if diff := cmp.Diff(want, got, compare); diff != "" {
		t.Errorf("by end (-want +got):\n%s", diff)
	}
	if got, err = measure(runs, w, byStart, paper(1)); err != nil {
		t.Fatal(err)
	}
	want.latencies = map[string][]float64{"": {2, 14}, "faces": {2, 14}}
	want.unserved = 2
	if diff := cmp.Diff(want, got, compare); diff != "" {
		t.Errorf("by start (-want +got):\n%s", diff)
	}
}

// TestBoundOfThePaper: all four kinds kept busy, and what was drawn counts.
func TestBoundOfThePaper(t *testing.T) {
	rate := 13.2 + 6.86 + 1.89 + 1/19.542
	got, err := boundOf(paper(10), nil)
	if err != nil || math.Abs(got*10-rate) > 1e-3 {
		t.Errorf("the bound is %v, %v, want a tenth of %v", got, err, rate)
	}
	got, err = boundOf(paper(1), map[accel.Kind][]float64{"GPU": {.1, .2, .3}, "NPU": {100}})
	if rate += 5 - 13.2; err != nil || math.Abs(got-rate) > 1e-3 {
		t.Errorf("the bound is %v, %v, want %v", got, err, rate)
	}
}

func TestHandovers(t *testing.T) {
	after := func(asked, started, ended float64) run {
		r := aRun("GPU", asked, started, ended)
		r.waited = true
		return r
	}
	got := handovers([]run{
		aRun("GPU", 0, 1, 10),
		after(5, 10.2, 20),
		after(6, 20.4, 30),
		aRun("GPU", 29, 37, 40), // found nothing wrong
		after(41, 42, 43),       // the one before had ended
		aRun("NPU", 1, 2, 3),
	})
	if got != 200*time.Millisecond {
		t.Errorf("a hand-over takes %s, want the lower of 200 ms and 400 ms", got)
	}
	if got := handovers(nil); got != 0 {
		t.Errorf("none take %s", got)
	}
}

// TestDraws: the mean is what it should be, every name is new, and the same
// seed draws the same.
func TestDraws(t *testing.T) {
	s := settings{seed: 7, spread: .3}
	d, again := newDraws(paper(10), 2, "camera", s), newDraws(paper(10), 2, "camera", s)
	var took []float64
	names := map[string]bool{}
	for range 5 * block {
		q := d.next()
		if diff := cmp.Diff(q, again.next(), cmp.AllowUnexported(request{})); diff != "" {
			t.Fatalf("the same seed drew another request:\n%s", diff)
		}
		names[q.name] = true
		took = append(took, q.takes["GPU"].Seconds())
	}
	mean, deviation := stat.MeanStdDev(took, nil)
	if usual := 10 / 13.2; math.Abs(mean/usual-1) > .001 || math.Abs(deviation/mean-.3) > .06 {
		t.Errorf("runs take %v s, and differ by %v of it, want %v and about 0.3", mean, deviation/mean, usual)
	}
	if len(names) != len(took) {
		t.Errorf("%d names for %d requests", len(names), len(took))
	}
}

func TestArrivals(t *testing.T) {
	const rate, horizon = 5, 1000 * time.Second
	at := arrivals(rand.New(rand.NewPCG(1, 2)), rate, horizon)
	if n := float64(len(at)); math.Abs(n-5000) > 4*math.Sqrt(5000) {
		t.Errorf("%v came in 1,000 s at 5 a second", n)
	}
	for i := 1; i < len(at); i++ {
		if at[i] < at[i-1] || at[i] >= horizon {
			t.Fatalf("arrival %d comes at %s, after %s", i, at[i], at[i-1])
		}
	}
}

// TestOver: a run that never ended took longer than any deadline.
func TestOver(t *testing.T) {
	const limit = 5 * time.Second
	for name, c := range map[string]struct {
		latencies []float64
		unserved  int
		want      string
	}{
		"none":            {nil, 0, "-"},
		"all in time":     {[]float64{1, 5}, 0, "0.0 %"},
		"one is late":     {[]float64{1, 2, 3, 5.1}, 0, "25.0 %"},
		"one never ended": {[]float64{1, 2, 3}, 1, "25.0 %"},
		"nobody ended":    {nil, 2, "100.0 %"},
	} {
		r := result{latencies: map[string][]float64{"": c.latencies}, unserved: c.unserved}
		if got := r.over(limit); got != c.want {
			t.Errorf("%s: %s took longer, want %s", name, got, c.want)
		}
	}
}
