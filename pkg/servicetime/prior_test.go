package servicetime_test

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"heteroaccel.io/pkg/servicetime"
)

func TestComplete(t *testing.T) {
	const ms, s = time.Millisecond, time.Second
	type durations = []time.Duration
	tests := map[string]struct {
		known  durations
		speeds []float64
		want   durations
	}{
		"nothing is known":           {durations{0, 0, 0}, []float64{0, 0, 0}, durations{s, 2 * s, 4 * s}},
		"the first is known":         {durations{500 * ms, 0, 0}, []float64{0, 0, 0}, durations{500 * ms, s, 2 * s}},
		"the last is known":          {durations{0, 0, 8 * s}, []float64{0, 0, 0}, durations{2 * s, 4 * s, 8 * s}},
		"the middle is known":        {durations{0, 6 * s, 0}, []float64{0, 0, 0}, durations{3 * s, 6 * s, 12 * s}},
		"one between two":            {durations{s, 0, 4 * s}, []float64{0, 0, 0}, durations{s, 2 * s, 4 * s}},
		"the nearest counts":         {durations{s, s, 0}, []float64{0, 0, 0}, durations{s, s, 2 * s}},
		"known against the order":    {durations{30 * s, 0, 1200 * ms}, []float64{0, 0, 0}, durations{30 * s, 6 * s, 1200 * ms}},
		"all are known":              {durations{3 * s, 2 * s, s}, []float64{0, 0, 0}, durations{3 * s, 2 * s, s}},
		"speeds alone":               {durations{0, 0, 0}, []float64{6, 3, 1}, durations{s, 2 * s, 6 * s}},
		"speeds against the order":   {durations{0, 0}, []float64{1, 4}, durations{4 * s, s}},
		"a time sets the scale":      {durations{0, 0, 12 * s}, []float64{6, 3, 1}, durations{2 * s, 4 * s, 12 * s}},
		"a time before its speed":    {durations{s, 0, 2 * s}, []float64{6, 0, 1}, durations{s, 1414214 * time.Microsecond, 2 * s}},
		"one without a speed":        {durations{0, 0, 0}, []float64{8, 0, 2}, durations{s, 2 * s, 4 * s}},
		"the last without a speed":   {durations{0, 0, 0}, []float64{2, 1, 0}, durations{s, 2 * s, 4 * s}},
		"the first without a speed":  {durations{0, 0}, []float64{0, 1}, durations{s, 2 * s}},
		"absurd speeds do not count": {durations{0, 0, 0}, []float64{math.NaN(), math.Inf(1), -2}, durations{s, 2 * s, 4 * s}},
		"negative is unknown":        {durations{-s, s}, []float64{0, 0}, durations{500 * ms, s}},
		"beyond all bounds":          {durations{math.MaxInt64, 0}, []float64{1e6, 1e-6}, durations{math.MaxInt64, servicetime.Longest}},
		"of one":                     {durations{0}, []float64{0}, durations{s}},
		"of none":                    {durations{}, nil, durations{}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, servicetime.Complete(tt.known, servicetime.RelativeTimes(tt.speeds))); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// TestCompleteIsTotal: whatever stands in a profile and its status, every time is
// greater than 0, what is known stays, and without known times or speeds each
// kind is slower than the one before it.
func TestCompleteIsTotal(t *testing.T) {
	random := rand.New(rand.NewPCG(5, 6))
	odd := []float64{0, 0, 1, 6, 1e-300, 1e300, -1, math.NaN(), math.Inf(1), math.Inf(-1), math.MaxFloat64, math.SmallestNonzeroFloat64}
	times := []time.Duration{0, 0, 1, time.Second, time.Hour, -1, math.MaxInt64, math.MinInt64}
	for range 20_000 {
		n := random.IntN(17)
		known, speeds := make([]time.Duration, n), make([]float64, random.IntN(18))
		for i := range known {
			known[i] = times[random.IntN(len(times))]
		}
		for i := range speeds {
			speeds[i] = odd[random.IntN(len(odd))]
		}
		got := servicetime.Complete(known, servicetime.RelativeTimes(speeds))
		for i, d := range got {
			if d <= 0 || known[i] > 0 && d != known[i] {
				t.Fatalf("known %v, speeds %v: got %v", known, speeds, got)
			}
		}
	}
	got := servicetime.Complete(make([]time.Duration, 16), servicetime.RelativeTimes(make([]float64, 16)))
	for i := range got[1:] {
		if got[i+1] <= got[i] {
			t.Errorf("kind %d is expected to take %v, the one before it %v", i+1, got[i+1], got[i])
		}
	}
}

func TestExpect(t *testing.T) {
	const s = time.Second
	tests := map[string]struct {
		hint  time.Duration
		e     servicetime.Estimate
		want  time.Duration
		basis servicetime.Basis
	}{
		"nothing":           {0, servicetime.Estimate{}, 0, servicetime.Unknown},
		"a hint":            {2 * s, servicetime.Estimate{}, 2 * s, servicetime.Hinted},
		"too few runs":      {2 * s, of(s, s), 2 * s, servicetime.Hinted},
		"enough":            {2 * s, of(s, s, s), s, servicetime.Learned},
		"no hint, one run":  {0, of(s), s, servicetime.Learned},
		"an absurd hint":    {-s, servicetime.Estimate{}, 0, servicetime.Unknown},
		"a count, no runs":  {0, servicetime.Estimate{Runs: 9}, 0, servicetime.Unknown},
		"a count, and hint": {s, servicetime.Estimate{Runs: 9}, s, servicetime.Hinted},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if got, basis := servicetime.Expect(tt.hint, tt.e); got != tt.want || basis != tt.basis {
				t.Errorf("got %v (%v), want %v (%v)", got, basis, tt.want, tt.basis)
			}
		})
	}
}

func TestTimed(t *testing.T) {
	const s = time.Second
	tests := map[string]struct {
		e    servicetime.Estimate
		want servicetime.Timed
	}{
		"nothing":              {servicetime.Estimate{}, servicetime.Timed{}},
		"one":                  {of(2 * s), servicetime.Timed{Runs: 1, Recent: 1, Least: 2 * s, Age: time.Minute}},
		"the latest three":     {of(s, 4*s, 3*s, 5*s), servicetime.Timed{Runs: 4, Recent: 4, Least: 3 * s, Age: time.Minute - 3*s}},
		"a count by hand":      {servicetime.Estimate{Runs: -3}, servicetime.Timed{}},
		"from another's clock": {servicetime.Estimate{Last: epoch.Add(time.Hour)}, servicetime.Timed{}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, tt.e.Timed(epoch.Add(time.Minute))); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// TestOldRunsGiveWay: after a long time two runs are enough to show that
// something has changed, and one that hung is not.
func TestOldRunsGiveWay(t *testing.T) {
	slow := of(times(servicetime.Window, 30*time.Second)...)
	later := slow.Last.Add(servicetime.StaleAfter + time.Minute)
	e := slow.Observe(time.Second/2, later)
	if e.Runs != servicetime.Window+1 || len(e.Recent) != servicetime.MinRuns || !e.Reliable() {
		t.Fatalf("%d runs, of which %v are kept", e.Runs, e.Recent)
	}
	if e = e.Observe(time.Second/2, later.Add(time.Second)); e.Time() > 2*time.Second {
		t.Errorf("after two runs of 500ms %v is expected", e.Time())
	}
	quick := of(times(servicetime.Window, time.Second)...)
	if got := quick.Observe(time.Hour, quick.Last.Add(servicetime.StaleAfter+time.Minute)).Time(); got > 2*time.Second {
		t.Errorf("one that hung makes it %v", got)
	}
	if got := quick.Observe(time.Second, quick.Last.Add(servicetime.StaleAfter)); len(got.Recent) != servicetime.Window {
		t.Errorf("%d runs are kept of times that are not old", len(got.Recent))
	}
}
