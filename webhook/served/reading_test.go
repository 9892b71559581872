package served

import (
	"testing"
	"time"

	"heteroaccel.io/pkg/profile"
)

func TestHistory(t *testing.T) {
	start := time.Unix(1_700_000_000, 0)
	after := func(seconds int, sum, count float64) counters {
		return counters{start.Add(time.Duration(seconds) * time.Second), sum, count}
	}
	for name, c := range map[string]struct {
		readings []counters
		complete bool
		each     time.Duration
		load     profile.Load
		rate     float64
	}{
		"the first says nothing":            {[]counters{after(0, 100, 1000)}, false, 0, "", 0},
		"light":                             {[]counters{after(0, 100, 1000), after(30, 101, 1100)}, true, 10 * time.Millisecond, profile.Light, 100. / 30},
		"busy":                              {[]counters{after(0, 0, 0), after(30, 27, 2700)}, true, 10 * time.Millisecond, profile.Busy, 90},
		"several at a time":                 {[]counters{after(0, 0, 0), after(30, 120, 3000)}, true, 10 * time.Millisecond, profile.Busy, 100},
		"too few":                           {[]counters{after(0, 0, 0), after(30, 1, 9)}, false, 0, "", .3},
		"too few at first":                  {[]counters{after(0, 0, 0), after(30, 1, 9), after(60, 3, 15)}, true, 200 * time.Millisecond, profile.Light, .2},
		"it began anew":                     {[]counters{after(0, 100, 1000), after(30, 1, 10)}, false, 0, "", 0},
		"it began anew, and went on":        {[]counters{after(0, 100, 1000), after(30, 1, 10), after(60, 2, 30)}, true, 50 * time.Millisecond, profile.Light, 20. / 30},
		"nothing newer":                     {[]counters{after(0, 0, 0), after(30, 1, 100), after(30, 1, 100)}, false, 0, "", 100. / 30},
		"the clock went back":               {[]counters{after(30, 0, 0), after(0, 1, 100)}, false, 0, "", 0},
		"idle":                              {[]counters{after(0, 1, 100), after(30, 1, 100)}, false, 0, "", 0},
		"a sum that shrinks is a beginning": {[]counters{after(0, 5, 100), after(30, 1, 200)}, false, 0, "", 0},
	} {
		t.Run(name, func(t *testing.T) {
			var h history
			var w window
			var complete bool
			for _, r := range c.readings {
				w, complete = h.add(r)
			}
			if complete != c.complete || h.rate != c.rate {
				t.Fatalf("complete: %t, %v a second; want %t, %v", complete, h.rate, c.complete, c.rate)
			}
			if complete && (w.each().Round(time.Microsecond) != c.each || w.class() != c.load) {
				t.Errorf("each took %s, %s; want %s, %s", w.each(), w.class(), c.each, c.load)
			}
		})
	}
}

// TestOldWindow: a server that is hardly asked has no reading of hours ago in it.
func TestOldWindow(t *testing.T) {
	var h history
	at := time.Unix(1_700_000_000, 0)
	h.add(counters{at, 0, 0})
	h.add(counters{at.Add(longest + time.Second), 1, 5})
	if _, complete := h.add(counters{at.Add(longest + time.Minute), 2, 14}); complete {
		t.Error("nine inferences of the last minute made a reading")
	}
	if w, complete := h.add(counters{at.Add(longest + 2*time.Minute), 2.1, 16}); !complete || w.each().Round(time.Millisecond) != 100*time.Millisecond {
		t.Errorf("%+v, %t", w, complete)
	}
}
