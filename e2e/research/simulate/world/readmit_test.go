package world

import (
	"fmt"
	"testing"
	"time"

	"heteroaccel.io/e2e/research/fleet"
)

// TestReadmission: pods that wait for a kind are taken over by one that comes
// back, and at most one for each device that frees.
func TestReadmission(t *testing.T) {
	c := at(t, "aligned", 40, .8, 60)
	c.Spread, c.Failing, c.Repair = .5, 5*time.Minute, time.Minute
	without := run(t, c)
	c.Readmit = readmitting
	with := run(t, c)
	if with.Moves == 0 || with.Moves > with.Ended+with.Lost+c.Fleet.Slots() {
		t.Errorf("%d moves for %d ends and %d failures", with.Moves, with.Ended, with.Lost)
	}
	if with.Throughput < .95*without.Throughput {
		t.Errorf("%.2f/s with, %.2f/s without", with.Throughput, without.Throughput)
	}
}

// TestNoChurn: a device that frees moves one pod at most, and most pods run
// where they first waited, under whatever load and policy.
func TestNoChurn(t *testing.T) {
	for _, name := range policies {
		for _, mix := range fleet.Mixes() {
			for _, load := range []float64{.8, .95, 1.3} {
				c := at(t, mix, 12, load, 30)
				c.Policy, c.Spread, c.Readmit = named(t, name), .5, readmitting
				churn(t, fmt.Sprintf("%s, %s at %v", name, mix, load), c)
			}
		}
		for _, cameras := range []int{4, 6, 8} {
			c := Config{Fleet: fleet.Paper(100), Cameras: cameras, Startup: time.Second, Spread: .3, Horizon: 5 * time.Hour}
			c.Policy, c.Readmit = named(t, name), readmitting
			churn(t, fmt.Sprintf("%s, %d cameras", name, cameras), c)
		}
	}
}

func churn(t *testing.T, what string, c Config) {
	t.Helper()
	w, err := newWorld(c)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.play(); err != nil {
		t.Fatal(err)
	}
	freed := w.measured.ended + c.Fleet.Slots() // at first all are free
	if moves := w.measured.moves; moves > freed || moves > w.measured.ended*2/5 {
		t.Errorf("%s: %d moves, %d ended", what, moves, w.measured.ended)
	}
	for _, j := range w.jobs {
		if j.slot < 0 && j.moves > 4 {
			t.Errorf("%s: one that waits was moved %d times", what, j.moves)
		}
	}
}
