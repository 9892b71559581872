package collector

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"heteroaccel.io/exporter/discovery"
	"heteroaccel.io/pkg/accel"
)

// Activities as the kernel reports them, in seconds.
func busy(s float64) discovery.Activity {
	return discovery.Activity{Busy: new(time.Duration(s * float64(time.Second)))}
}

func idle(s ...float64) discovery.Activity {
	var a discovery.Activity
	for _, part := range s {
		a.Idle = append(a.Idle, time.Duration(part*float64(time.Second)))
	}
	return a
}

func TestLoads(t *testing.T) {
	asleep := discovery.Activity{Asleep: true}
	nothing := discovery.Activity{}
	share := func(s float64) discovery.Activity { return discovery.Activity{Share: &s} }
	// unknown stands for a value that is not told.
	const unknown = -1
	for name, tc := range map[string]struct {
		every   float64 // seconds between scrapes
		scrapes []discovery.Activity
		ratio   []float64
		seconds []float64
	}{
		"not told":               {5, []discovery.Activity{nothing, nothing}, []float64{unknown, unknown}, []float64{unknown, unknown}},
		"time at work":           {5, []discovery.Activity{busy(100), busy(102), busy(107), busy(107)}, []float64{unknown, .4, 1, 0}, []float64{0, 2, 7, 7}},
		"time asleep":            {5, []discovery.Activity{idle(100), idle(104), idle(104)}, []float64{unknown, .2, 1}, []float64{0, 1, 6}},
		"the busier of two":      {5, []discovery.Activity{idle(100, 50), idle(105, 51)}, []float64{unknown, .8}, []float64{0, 4}},
		"slept more than it is":  {5, []discovery.Activity{idle(100), idle(105.1)}, []float64{unknown, 0}, []float64{0, 0}},
		"worked more than it is": {5, []discovery.Activity{busy(0), busy(5.1)}, []float64{unknown, 1}, []float64{0, 5}},
		"a percentage":           {5, []discovery.Activity{share(.5), share(.25)}, []float64{.5, .25}, []float64{unknown, unknown}},
		"too soon":               {.2, []discovery.Activity{idle(0), idle(0), idle(0), idle(.3)}, []float64{unknown, unknown, unknown, .5}, []float64{0, 0, 0, .3}}, // .3 of .6
		"powered down":           {5, []discovery.Activity{idle(10), asleep, asleep, idle(11), idle(13)}, []float64{unknown, 0, 0, unknown, .6}, []float64{0, 0, 0, 0, 3}},
		"reset":                  {5, []discovery.Activity{idle(100), idle(1), idle(5)}, []float64{unknown, unknown, .2}, []float64{0, 0, 1}},
		"work reset":             {5, []discovery.Activity{busy(100), busy(1), busy(2)}, []float64{unknown, unknown, .2}, []float64{0, 0, 1}},
		"another driver":         {5, []discovery.Activity{idle(100), idle(100, 100), idle(105, 104)}, []float64{unknown, unknown, .2}, []float64{0, 0, 1}},
	} {
		t.Run(name, func(t *testing.T) {
			var l loads
			var ratio, seconds []float64
			now := time.Now()
			for _, a := range tc.scrapes {
				devices := []accel.Device{{Kind: "GPU", ID: "a"}, {Kind: "NPU", ID: "a"}}
				l.measure(now, []discovery.Device{{Kind: "GPU", ID: "a", Activity: a}}, devices)
				known := func(v *float64) float64 {
					if v == nil {
						return unknown
					}
					return *v
				}
				ratio, seconds = append(ratio, known(devices[0].Busy)), append(seconds, known(devices[0].BusySeconds))
				if devices[1].Busy != nil || devices[1].BusySeconds != nil {
					t.Error("another device has its load")
				}
				now = now.Add(time.Duration(tc.every * float64(time.Second)))
			}
			near := cmp.Comparer(func(x, y float64) bool { return x-y < 1e-6 && y-x < 1e-6 })
			if diff := cmp.Diff(tc.ratio, ratio, near); diff != "" {
				t.Errorf("ratio (-want +got)\n%s", diff)
			}
			if diff := cmp.Diff(tc.seconds, seconds, near); diff != "" {
				t.Errorf("seconds (-want +got)\n%s", diff)
			}
		})
	}
}

// A device that was unplugged is forgotten, and starts again when it is back.
func TestLoadsForget(t *testing.T) {
	var l loads
	now := time.Now()
	found := []discovery.Device{{Kind: "GPU", ID: "a", Activity: busy(1)}}
	l.measure(now, found, nil)
	l.measure(now.Add(5*time.Second), nil, nil)
	if len(l.of) != 0 {
		t.Errorf("%d devices are remembered", len(l.of))
	}
}
