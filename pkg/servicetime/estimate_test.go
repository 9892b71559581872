package servicetime_test

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"heteroaccel.io/pkg/servicetime"
)

var epoch = time.Unix(1_700_000_000, 0).UTC()

// of observes runs one after another, a second apart.
func of(runs ...time.Duration) servicetime.Estimate {
	var e servicetime.Estimate
	for i, took := range runs {
		e = e.Observe(took, epoch.Add(time.Duration(i)*time.Second))
	}
	return e
}

func times(n int, took time.Duration) []time.Duration { return slices.Repeat([]time.Duration{took}, n) }

func TestTime(t *testing.T) {
	const ms = time.Millisecond
	tests := map[string]struct {
		runs []time.Duration
		want time.Duration
	}{
		"none":                          {nil, 0},
		"one":                           {[]time.Duration{80 * ms}, 80 * ms},
		"the mean":                      {[]time.Duration{2 * time.Second, 3 * time.Second, 4 * time.Second}, 3 * time.Second},
		"whole seconds, 1 of 4 reads 1": {[]time.Duration{0, 0, 0, time.Second}, 258 * ms}, // (3·10 + 1000) / 4
		"nothing but zeros":             {times(40, 0), servicetime.Shortest},
		"negative":                      {times(3, -time.Hour), servicetime.Shortest},
		"one hung first":                {[]time.Duration{time.Hour, time.Second, time.Second}, 2 * time.Second},                   // (4 + 1 + 1) / 3
		"one hung later":                {append(times(31, 10*time.Second), time.Hour), 10938 * ms},                                // (31·10 + 40) / 32
		"a fifth hung":                  {append(times(24, 10*time.Second), times(6, time.Hour)...), 16 * time.Second},             // (24·10 + 6·40) / 30
		"one ended at once":             {append(times(31, 32*time.Second), 0), 31 * time.Second},                                  // (31·32 + 0) / 32
		"a slower device from now on":   {append(times(100, time.Second), times(servicetime.Window, time.Minute)...), time.Minute}, // the window is past it
		"huge":                          {times(servicetime.Window, math.MaxInt64), servicetime.Longest},
		"as small as can be":            {times(servicetime.Window, math.MinInt64), servicetime.Shortest},
		"fractions of a millisecond":    {[]time.Duration{80*ms + 400*time.Microsecond}, 80 * ms},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if got := of(tt.runs...).Time(); got != tt.want {
				t.Errorf("got %s, want %s", got, tt.want)
			}
		})
	}
}

func TestReliable(t *testing.T) {
	for n := range 6 {
		if got, want := of(times(n, time.Second)...).Reliable(), n >= servicetime.MinRuns; got != want {
			t.Errorf("after %d runs: %v, want %v", n, got, want)
		}
	}
	if (servicetime.Estimate{Runs: 99}).Reliable() {
		t.Error("a count without its runs is relied on")
	}
}

// TestMean is what the median would fail: readings in whole seconds of runs
// that start anywhere within one.
func TestMean(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for _, took := range []time.Duration{100 * time.Millisecond, 700 * time.Millisecond, 2300 * time.Millisecond} {
		var sum time.Duration
		const windows = 400
		for range windows {
			var e servicetime.Estimate
			for range servicetime.Window {
				start := epoch.Add(time.Duration(random.Int64N(int64(time.Second))))
				e = e.Observe(start.Add(took).Truncate(time.Second).Sub(start.Truncate(time.Second)), start.Add(took))
			}
			sum += e.Time()
		}
		if got := sum / windows; (got - took).Abs() > took/20+servicetime.Shortest {
			t.Errorf("runs of %s are estimated as %s", took, got)
		}
	}
}

// TestBounds holds for any runs: the estimate lies between the shortest and
// the longest of the window, and a longer run never makes it shorter.
func TestBounds(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	for range 5000 {
		runs := make([]time.Duration, 1+random.IntN(servicetime.Window))
		for i := range runs {
			runs[i] = time.Duration(math.Exp(random.Float64() * 44)) // to beyond MaxInt64 ns
		}
		e := of(runs...)
		got := e.Time()
		if got < slices.Min(e.Recent) || got > slices.Max(e.Recent) || got <= 0 {
			t.Fatalf("%v is estimated as %s", e.Recent, got)
		}
		i := random.IntN(len(runs))
		runs[i] += time.Duration(random.Int64N(int64(max(1, math.MaxInt64-runs[i]))))
		if longer := of(runs...).Time(); longer < got {
			t.Fatalf("run %d longer: %s after %s: %v", i, longer, got, runs)
		}
	}
}

// TestConvergence: when all runs take as long from now on, the estimate moves
// there without turning back, and arrives.
func TestConvergence(t *testing.T) {
	for _, from := range []time.Duration{0, 76 * time.Millisecond, time.Minute, time.Hour} {
		for _, to := range []time.Duration{0, 80 * time.Millisecond, 5 * time.Second, 24 * time.Hour} {
			e := of(times(50, from)...)
			last := e.Time()
			rises := to > from
			for n := range servicetime.Window {
				e = e.Observe(to, epoch)
				if now := e.Time(); now != last && now > last != rises {
					t.Fatalf("from %s to %s: run %d moved it from %s to %s", from, to, n, last, now)
				} else {
					last = now
				}
			}
			if want := max(to, servicetime.Shortest); last != want {
				t.Errorf("from %s to %s: arrived at %s", from, to, last)
			}
		}
	}
}

func TestAppend(t *testing.T) {
	runs := make([]time.Duration, 3*servicetime.Window)
	for i := range runs {
		runs[i] = time.Duration(i+10) * time.Millisecond
	}
	want := of(runs...)
	for _, cut := range []int{0, 1, 5, servicetime.Window, len(runs) - 1, len(runs)} {
		a, b := of(runs[:cut]...), of(runs[cut:]...)
		b.Last = want.Last
		if diff := cmp.Diff(want, a.Append(b)); diff != "" {
			t.Errorf("cut at %d (-want +got):\n%s", cut, diff)
		}
	}
	before := of(runs[:servicetime.Window]...)
	kept := slices.Clone(before.Recent)
	before.Observe(time.Hour, epoch)
	before.Observe(time.Minute, epoch)
	if diff := cmp.Diff(kept, before.Recent); diff != "" {
		t.Errorf("an estimate changed under its reader (-want +got):\n%s", diff)
	}
	if got := of(0, 0).Append(servicetime.Estimate{Last: epoch.Add(-time.Hour)}).Last; !got.Equal(epoch.Add(time.Second)) {
		t.Errorf("an earlier run turned the time back to %s", got)
	}
	for _, samples := range []int64{math.MaxInt64, math.MinInt64, -1} {
		e := servicetime.Estimate{Runs: samples}.Observe(time.Second, epoch).Observe(time.Second, epoch)
		if e.Runs <= 0 {
			t.Errorf("a count of %d became %d", samples, e.Runs)
		}
	}
}

func TestEncoding(t *testing.T) {
	e := of(0, 80*time.Millisecond, 1500*time.Millisecond, time.Hour, math.MaxInt64)
	if diff := cmp.Diff(e.Recent, servicetime.Decode(servicetime.Encode(e.Recent))); diff != "" {
		t.Errorf("read back (-want +got):\n%s", diff)
	}
	if got := servicetime.Encode(e.Recent[:3]); got != "10ms 80ms 1.5s" {
		t.Errorf("encoded as %q", got)
	}
	for s, want := range map[string][]time.Duration{
		"":                           {},
		"soon":                       {},
		"1s  nonsense -5s 99999999h": {time.Second, servicetime.Shortest},
	} {
		if got := servicetime.Decode(s); !slices.Equal(got, want) {
			t.Errorf("Decode(%q) = %v, want %v", s, got, want)
		}
	}
	long := servicetime.Encode(times(1000, time.Second)) + " 2s"
	if got := servicetime.Decode(long); len(got) != servicetime.Window || got[servicetime.Window-1] != 2*time.Second {
		t.Errorf("of 1001 runs %d were kept, the last %s", len(got), got[len(got)-1])
	}
}
