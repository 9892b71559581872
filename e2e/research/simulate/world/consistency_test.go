package world

import (
	"fmt"
	"testing"
	"time"
)

// TestNothingIsLostOrDoubled holds, in the worst of weathers, the books of the
// simulation against each other and against the inventory's.
func TestNothingIsLostOrDoubled(t *testing.T) {
	for _, name := range policies {
		for _, load := range []float64{.5, 1.5} {
			t.Run(fmt.Sprint(name, load), func(t *testing.T) {
				c := at(t, "random", 40, load, 30)
				c.Policy, c.Spread, c.Failing, c.Repair, c.Readmit = named(t, name), .5, 10*time.Minute, time.Minute, readmitting
				w, err := newWorld(c)
				if err != nil {
					t.Fatal(err)
				}
				if err := w.play(); err != nil {
					t.Fatal(err)
				}
				r := w.result()
				if r.Lost == 0 || r.Ended == 0 {
					t.Fatalf("lost %d, ended %d: this tests nothing", r.Lost, r.Ended)
				}
				if r.Arrivals != r.Ended+r.Running+r.Waiting {
					t.Errorf("%d arrived, %d ended, %d run and %d wait", r.Arrivals, r.Ended, r.Running, r.Waiting)
				}
				if n := w.inv.Reservations(); n > 0 {
					t.Errorf("%d reservations are left", n)
				}
				checkInventory(t, w, r)
				if err := w.drain(); err != nil {
					t.Fatal(err)
				}
				checkInventory(t, w, Result{})
				if all := w.result(); len(w.measured.latencies) != all.Arrivals {
					t.Errorf("%d arrived, %d latencies are known", all.Arrivals, len(w.measured.latencies))
				}
			})
		}
	}
}

func checkInventory(t *testing.T, w *World, r Result) {
	t.Helper()
	held := 0
	for _, n := range w.inv.Nodes() {
		held += len(n.Holders)
		for _, d := range n.Held.Devices {
			if d.Count > n.Allocatable.Device(d.Resource) {
				t.Errorf("%s holds %d of %d %s", n.Name, d.Count, n.Allocatable.Device(d.Resource), d.Resource)
			}
		}
		if n.Held.CPU > n.Allocatable.CPU {
			t.Errorf("%s holds %d of %d milli-cores", n.Name, n.Held.CPU, n.Allocatable.CPU)
		}
	}
	if held != r.Running || len(w.inv.Managed()) != r.Running+r.Waiting {
		t.Errorf("the inventory has %d running of %d pods, want %d and %d waiting", held, len(w.inv.Managed()), r.Running, r.Waiting)
	}
	for s, sl := range w.slots {
		if sl.job >= 0 && w.jobs[sl.job].slot != s {
			t.Errorf("slot %d is held by a pod that runs elsewhere", s)
		}
	}
}
