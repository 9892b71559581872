package upgrade

import (
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"heteroaccel.io/pkg/accel"
	"heteroaccel.io/pkg/inventory"
)

func candidate(kind accel.Kind, takes time.Duration, usable int64) inventory.Candidate {
	return inventory.Candidate{Option: inventory.Option{Kind: kind, Service: takes}, Nodes: 1, Total: 1, Usable: usable}
}

func TestFaster(t *testing.T) {
	const ms = time.Millisecond
	npu := candidate("NPU", 150*ms, 0)
	refused := candidate("GPU", 50*ms, 1)
	refused.Refused = &inventory.Refusal{Reason: "a policy"}
	nowhere := candidate("GPU", 50*ms, 1)
	nowhere.Nodes = 0
	for name, c := range map[string]struct {
		others []inventory.Candidate
		// asked is where one goes that asks, displaced one that was displaced from the GPU; ""
		// for nowhere.
		asked, displaced accel.Kind
	}{
		"nothing else":         {nil, "", ""},
		"twice as fast":        {[]inventory.Candidate{candidate("GPU", 75*ms, 1)}, "GPU", "GPU"},
		"by the factor":        {[]inventory.Candidate{candidate("GPU", 100*ms, 1)}, "GPU", "GPU"},
		"hardly faster":        {[]inventory.Candidate{candidate("GPU", 140*ms, 1)}, "", "GPU"},
		"as fast":              {[]inventory.Candidate{candidate("GPU", 150*ms, 1)}, "", ""},
		"slower":               {[]inventory.Candidate{candidate("CPU", 900*ms, 8)}, "", ""},
		"busy":                 {[]inventory.Candidate{candidate("GPU", 50*ms, 0)}, "", ""},
		"of an unknown speed":  {[]inventory.Candidate{candidate("GPU", 0, 1)}, "", ""},
		"refused":              {[]inventory.Candidate{refused}, "", ""},
		"on no node":           {[]inventory.Candidate{nowhere}, "", ""},
		"slower than that":     {[]inventory.Candidate{candidate("FPGA", 90*ms, 1), candidate("GPU", 50*ms, 0)}, "FPGA", ""},
		"faster than that":     {[]inventory.Candidate{candidate("FPGA", 40*ms, 1), candidate("GPU", 50*ms, 0)}, "FPGA", "FPGA"},
		"without that":         {[]inventory.Candidate{candidate("FPGA", 40*ms, 1)}, "FPGA", ""},
		"the fastest of those": {[]inventory.Candidate{candidate("FPGA", 90*ms, 1), candidate("GPU", 50*ms, 1), candidate("CPU", 80*ms, 1)}, "GPU", "GPU"},
	} {
		t.Run(name, func(t *testing.T) {
			all := append([]inventory.Candidate{npu}, c.others...)
			for displaced, want := range map[accel.Kind]accel.Kind{"": c.asked, "GPU": c.displaced} {
				got := accel.Kind("")
				if i := Default.Faster(all, "NPU", displaced, func(accel.Kind) bool { return true }); i >= 0 {
					got = all[i].Kind
				}
				if got != want {
					t.Errorf("displaced from %q: got %q, want %q", displaced, got, want)
				}
			}
		})
	}
}

func TestLedger(t *testing.T) {
	var l Ledger
	r := Rules{PerOwner: 2, PerCluster: 3, Backoff: time.Minute}
	now := time.Unix(1_700_000_000, 0)
	a, b := types.NamespacedName{Name: "a"}, types.NamespacedName{Name: "b"}
	revision := types.UID("one")
	begin := func(of types.NamespacedName, asked bool, wantWait time.Duration, want bool) {
		t.Helper()
		wait, ok := l.May(r, of, revision, asked, 10, now)
		if ok != want || wait != wantWait {
			t.Errorf("it may move: %t, after %s; want %t, %s", ok, wait, want, wantWait)
		}
		if ok {
			l.Begin(of, revision, asked, now)
		}
	}
	begin(a, true, 0, true)
	begin(a, true, 0, false) // one at a time
	begin(a, false, 0, false)
	begin(b, true, 0, true)
	l.End(r, a, Moved, now)
	now = now.Add(time.Minute)
	begin(a, true, 0, true)
	l.End(r, a, Lost, now)
	begin(a, false, lostPause, false)
	now = now.Add(lostPause)
	begin(a, true, 59*time.Minute-lostPause, false) // two an hour
	begin(a, false, 0, true)                        // what a rollout displaced is not limited
	if !l.End(r, a, Failed, now) {
		t.Error("the first failure is not reported")
	}
	begin(a, false, time.Minute, false)
	now = now.Add(time.Minute)
	begin(a, false, 0, true)
	if l.End(r, a, Failed, now) {
		t.Error("the second failure in a row is reported too")
	}
	begin(a, false, 2*time.Minute, false)
	for range 20 {
		now = now.Add(maxBackoff)
		begin(a, false, 0, true)
		l.End(r, a, Failed, now)
	}
	begin(a, false, maxBackoff, false)
	revision = "two"
	begin(a, false, 0, true)
	l.End(r, a, Moved, now)
	begin(a, false, 0, true)
	if l.End(r, a, Failed, now); l.owners[a].failures != 1 {
		t.Errorf("%d failures in a row, want 1", l.owners[a].failures)
	}
	l.End(r, b, Moved, now)

	revision = "one" // b's
	for range 20 {
		l.End(r, b, Lost, now)
	}
	begin(b, false, maxLostPause, false)
	revision = "three"
	begin(b, false, 0, true)
	l.End(r, b, Moved, now)
	replicas := 1
	flapping := func() int { return l.Flapping(func(types.NamespacedName) int { return replicas }, now) }
	if n := flapping(); n != 0 {
		t.Errorf("after a few moves %d owners flap", n)
	}
	for range oftenMoved {
		begin(b, false, 0, true)
		l.End(r, b, Moved, now)
	}
	if n := flapping(); n != 1 {
		t.Errorf("%d owners flap, want the one whose server moved %d times", n, len(l.owners[b].moved))
	}
	if replicas = 2; flapping() != 0 {
		t.Error("it flaps although each of its two servers moved twice")
	}

	now = now.Add(2 * window)
	if replicas = 1; flapping() != 0 {
		t.Error("it flaps two hours later")
	}
	l.Keep(map[types.NamespacedName]bool{a: true}, now)
	if len(l.owners) != 1 || l.owners[a] == nil {
		t.Errorf("%d owners are kept", len(l.owners))
	}
	for _, name := range []string{"x", "y", "z"} {
		begin(types.NamespacedName{Name: name}, true, 0, true)
	}
	begin(types.NamespacedName{Name: "w"}, true, window, false) // three an hour in all
}

// TestSettles: a server that asks and loses what it moved to again and again is moved ever
// more seldom; each of several replicas may be moved once without a pause.
func TestSettles(t *testing.T) {
	r := Default
	r.PerOwner, r.PerCluster = 1000, 1000
	for servers, want := range map[int]int{1: 13, 3: 29} {
		var l Ledger
		of, moves := types.NamespacedName{Name: "a"}, 0
		began := time.Unix(1_700_000_000, 0)
		for at := began; at.Sub(began) < day; at = at.Add(time.Minute) {
			if _, ok := l.May(r, of, "revision", true, servers, at); ok {
				l.Begin(of, "revision", true, at)
				l.End(r, of, Moved, at)
				moves++
			}
		}
		if moves != want {
			t.Errorf("of %d servers that come back each minute %d moves a day are made, want %d", servers, moves, want)
		}
		if wait, ok := l.May(r, of, "revision", true, servers, began.Add(2*day)); !ok {
			t.Errorf("a day later it waits %s", wait)
		}
	}
}
