package servicetime

import (
	"testing"
	"time"
)

// TestExpectServed: how long an inference takes on a server is what servers report, and
// in proportion to that where none did.
func TestExpectServed(t *testing.T) {
	const ms = time.Millisecond
	by := func(namespaces int, each time.Duration) Measured {
		var m Measured
		for n := range namespaces {
			e := Estimate{}
			for range MinRuns {
				e = e.Observe(ServedRun(each), time.Unix(1_700_000_000, 0))
			}
			m = m.Add(string(rune('a'+n)), e)
		}
		return m
	}
	once := Measured{}.Add("a", Estimate{}.Observe(ServedRun(ms), time.Unix(1_700_000_000, 0)))
	hints := []time.Duration{100 * ms, 200 * ms, 0}
	for name, c := range map[string]struct {
		served [3]Measured
		want   [3]time.Duration
		basis  string
	}{
		"nobody reports":           {[3]Measured{}, [3]time.Duration{100 * ms, 200 * ms, 400 * ms}, "hint hint order"},
		"one reading is too few":   {[3]Measured{once}, [3]time.Duration{100 * ms, 200 * ms, 400 * ms}, "hint hint order"},
		"the others in proportion": {[3]Measured{by(1, 5*ms)}, [3]time.Duration{5 * ms, 10 * ms, 20 * ms}, "served hint order"},
		"between two":              {[3]Measured{by(1, 5*ms), nil, by(1, 80*ms)}, [3]time.Duration{5 * ms, 20 * ms, 80 * ms}, "served hint served"},
		"microseconds count":       {[3]Measured{by(1, 2400*time.Microsecond), by(1, 3400*time.Microsecond)}, [3]time.Duration{2400 * time.Microsecond, 3400 * time.Microsecond, 6800 * time.Microsecond}, "served served order"},
		"they turn the order":      {[3]Measured{by(1, 6*ms), by(1, 5*ms)}, [3]time.Duration{6 * ms, 5 * ms, 10 * ms}, "served served order"},
		// The lower of the two ratios is the GPU's, so the NPU's is held against that.
		"one namespace cannot say that one is a thousand times slower": {[3]Measured{by(1, ms), by(1, 2*time.Second)}, [3]time.Duration{ms, 8 * ms, 16 * ms}, "served served order"},
		"three can":                    {[3]Measured{by(3, ms), by(3, 2*time.Second)}, [3]time.Duration{ms, 2 * time.Second, 4 * time.Second}, "served served order"},
		"without a hint nothing holds": {[3]Measured{by(1, ms), nil, by(1, 2*time.Second)}, [3]time.Duration{ms, 44721360, 2 * time.Second}, "served hint served"},
	} {
		t.Run(name, func(t *testing.T) {
			expected := ExpectAll([]Variant{{Hint: hints[0]}, {Hint: hints[1]}, {Hint: hints[2]}})
			got := ExpectServed(expected, hints, c.served[:])
			basis := ""
			for i, e := range got {
				if (e.Time - c.want[i]).Abs() > 2*time.Microsecond {
					t.Errorf("variant %d takes %s, want %s", i, e.Time, c.want[i])
				}
				basis += " " + e.Basis.String()
			}
			if basis[1:] != c.basis {
				t.Errorf("by%s, want %s", basis, c.basis)
			}
		})
	}
}
