package inventory

import (
	"math"
	"testing"
	"time"

	"heteroaccel.io/pkg/telemetry"
)

func TestCoresUnderLoad(t *testing.T) {
	tests := map[string]struct {
		cores, busy float64
		age         time.Duration
		want        int64
	}{
		"idle":                   {8, 0, 0, 3},
		"the requested busy":     {8, 1, 0, 3}, // min(8 − 1, 8 − 1) / 2
		"half":                   {8, 4, 0, 2},
		"three quarters":         {8, 6.5, 0, 0},
		"all":                    {8, 8, 0, 0},
		"more than there is":     {8, 12, 0, 0},
		"stale":                  {8, 8, time.Minute, 3},
		"unknown":                {0, 0, 0, 3},
		"cores are not a number": {math.NaN(), 1, 0, 3},
		"busy is not a number":   {8, math.NaN(), 0, 3},
		"infinite":               {math.Inf(1), 1, 0, 3},
		"negative":               {8, -1, 0, 3},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			w := newWorld()
			w.SetNode(aNode("g", has(gpu, 1)))
			w.SetPod(aPod("p", on("g"), asks("cpu", "1")))
			w.SetTelemetry(telemetry.Scrape{Node: "g", Time: w.now.Add(-tt.age), CPUCores: tt.cores, CPUBusy: tt.busy})
			if got := w.look(wants("")).Usable; got != tt.want {
				t.Errorf("usable slots of two cores: got %d, want %d", got, tt.want)
			}
			if got := w.look(wants(gpu, asks("cpu", "2"))).Usable; got != 1 {
				t.Errorf("a pod that needs a device: usable %d, want 1, whatever the cores do", got)
			}
		})
	}
}

func TestTelemetryOfUnknownNodesIsDropped(t *testing.T) {
	w := newWorld()
	w.scrape("gone", 0)
	w.now = w.now.Add(time.Minute)
	w.scrape("gone too", time.Hour)
	w.look(wants(gpu))
	if len(w.nodes) != 0 {
		t.Errorf("%d nodes are remembered that the API server never showed", len(w.nodes))
	}
}
