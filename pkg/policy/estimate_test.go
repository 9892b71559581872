package policy

import (
	"testing"
	"time"

	"heteroaccel.io/pkg/inventory"
)

const ms = time.Millisecond

func ends(in, of time.Duration) inventory.Running {
	return inventory.Running{Ends: true, Elapsed: of - in, Service: of}
}

func TestWait(t *testing.T) {
	const run = 4 * time.Second // a turn is 5 s: run and handover
	server := inventory.Running{Elapsed: time.Hour}
	tests := map[string]struct {
		c    inventory.Candidate
		want time.Duration
	}{
		"idle":               {inventory.Candidate{Usable: 1}, 0},
		"nothing there":      {inventory.Candidate{}, Never},
		"a server":           {inventory.Candidate{Running: []inventory.Running{server}}, Never},
		"one that ends":      {inventory.Candidate{Running: []inventory.Running{ends(2*time.Second, run)}}, 3 * time.Second},
		"one and a server":   {inventory.Candidate{Running: []inventory.Running{server, ends(2*time.Second, run)}}, 3 * time.Second},
		"the first of two":   {inventory.Candidate{Running: []inventory.Running{ends(3*time.Second, run), ends(time.Second, run)}}, 2 * time.Second},
		"not started yet":    {inventory.Candidate{Running: []inventory.Running{{Ends: true, Service: run}}}, 6 * time.Second},
		"of unknown service": {inventory.Candidate{Running: []inventory.Running{{Ends: true, Elapsed: time.Second}}}, 4 * time.Second},
		"outlived":           {inventory.Candidate{Running: []inventory.Running{{Ends: true, Elapsed: 7 * time.Second, Service: run}}}, 8 * time.Second},
		"ended":              {inventory.Candidate{Running: []inventory.Running{{Ends: true, Ended: true, Service: run}}}, time.Second},
		"claimed":            {inventory.Candidate{Usable: 1, Claimed: 1}, 6 * time.Second},
		"claimed and one queued": { // frees at 5, the queued one has it until 10
			inventory.Candidate{Usable: 1, Claimed: 1, Queued: 1}, 11 * time.Second,
		},
		"one queued": { // it starts at 2 and is done at 7
			inventory.Candidate{Queued: 1, Running: []inventory.Running{ends(2*time.Second, run)}}, 8 * time.Second,
		},
		"queued before two slots": { // they start at 1, 3 and 6; slots are free again at 8 and 11
			inventory.Candidate{Queued: 3, Running: []inventory.Running{ends(time.Second, run), ends(3*time.Second, run)}}, 9 * time.Second,
		},
		"two queued, the other slot is far off": { // 1, 6, and then 11
			inventory.Candidate{Queued: 2, Running: []inventory.Running{ends(time.Second, run), ends(time.Hour, 2*time.Hour)}}, 12 * time.Second,
		},
		"two that stand for two hundred": { // 100 slots free at 1, 100 at 3
			inventory.Candidate{Queued: 150, Ending: 200, Running: []inventory.Running{ends(time.Second, run), ends(3*time.Second, run)}}, 4 * time.Second,
		},
		"an endless queue": {inventory.Candidate{Queued: 1 << 62, Running: []inventory.Running{ends(time.Second, run)}}, maxEstimate},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if got := wait(tt.c, run); got != tt.want {
				t.Errorf("got %v, want %v", got, tt.want)
			}
		})
	}
}

func TestTypicalService(t *testing.T) {
	tests := map[string]struct {
		known []time.Duration
		want  time.Duration
	}{
		"none":             {nil, unknownService},
		"unknown":          {[]time.Duration{0, -1}, unknownService},
		"one":              {[]time.Duration{0, 5}, 5},
		"the lower of two": {[]time.Duration{9, 0, 5}, 5},
		"one is absurd":    {[]time.Duration{9, 5, Never}, 9},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			var cs []inventory.Candidate
			for _, s := range tt.known {
				cs = append(cs, inventory.Candidate{Option: inventory.Option{Service: s}})
			}
			if got := typicalService(cs); got != tt.want {
				t.Errorf("got %v, want %v", got, tt.want)
			}
		})
	}
}
