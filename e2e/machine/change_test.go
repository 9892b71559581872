package machine_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"heteroaccel.io/e2e/machine"
)

func TestHealthAndPlug(t *testing.T) {
	const gpu = "gpu.intel.com/i915"
	m := machine.Shape{GPUs: 1}.Machine("x")
	m.Devices[0] = machine.GPU(0, 3)
	write(t, m)
	check := func(when string, allocatable, capacity int64, visible bool) {
		t.Helper()
		a, c := m.Resources()
		if a[gpu] != allocatable || c[gpu] != capacity {
			t.Errorf("%s: allocatable %d, capacity %d, want %d, %d", when, a[gpu], c[gpu], allocatable, capacity)
		}
		if got := read(t, m.Sys(), "class/drm/card0/device/vendor") != ""; got != visible {
			t.Errorf("%s: visible in sysfs: %t, want %t", when, got, visible)
		}
	}
	do := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	check("at first", 3, 3, true)
	do(m.SetHealthy("card0", false))
	check("unhealthy", 0, 3, true)
	do(m.SetHealthy("card0", true))
	do(m.Unbind("card0"))
	check("unbound", 3, 3, false)
	if read(t, m.Sys(), "bus/pci/devices/0000:00:02.0/vendor") == "" {
		t.Error("an unbound device is still on its bus")
	}
	do(m.Bind("card0"))
	do(m.Unplug("card0"))
	check("unplugged", 0, 0, false)
	if read(t, m.Sys(), "bus/pci/devices/0000:00:02.0/vendor") != "" {
		t.Error("an unplugged device is on no bus")
	}
	do(m.Plug("card0"))
	check("plugged", 3, 3, true)
	if err := m.Unplug("card7"); err == nil {
		t.Error("there is no card7 to unplug")
	}
}

func TestUseExternally(t *testing.T) {
	m := write(t, machine.N())
	held := func() map[string]string {
		got := map[string]string{}
		links, err := filepath.Glob(filepath.Join(m.Proc(), "*", "fd", "*"))
		if err != nil {
			t.Fatal(err)
		}
		for _, link := range links {
			target, err := os.Readlink(link)
			if err != nil {
				t.Fatal(err)
			}
			dir := filepath.Dir(filepath.Dir(link))
			got[target] = read(t, dir, "comm") + " in " + read(t, dir, "cgroup")
		}
		return got
	}
	if err := m.UseExternally("1-1", "benchmark_app"); err != nil {
		t.Fatal(err)
	}
	want := map[string]string{"/dev/bus/usb/001/002": "benchmark_app in 0::/user.slice/user-1000.slice/session-2.scope"}
	if diff := cmp.Diff(want, held()); diff != "" {
		t.Errorf("holders (-want +got):\n%s", diff)
	}
	if err := m.UseExternally("1-1", "other"); err == nil {
		t.Error("a device was held twice")
	}
	for range 2 { // the second has nothing to do
		if err := m.Release("1-1"); err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff(map[string]string{}, held()); diff != "" {
		t.Errorf("holders after release (-want +got):\n%s", diff)
	}
}

func TestLoad(t *testing.T) {
	m := write(t, machine.G()) // 8 cores
	if n := strings.Count(read(t, m.Proc(), "cpuinfo"), "model name\t: 11th Gen Intel(R) Core(TM) i7"); n != 8 {
		t.Errorf("cpuinfo has %d cores, want 8", n)
	}
	jiffies := func() (user, idle int64) {
		var discard int64
		line, _, _ := strings.Cut(read(t, m.Proc(), "stat"), "\n")
		if _, err := fmt.Sscanf(line, "cpu %d %d %d %d", &user, &discard, &discard, &idle); err != nil {
			t.Fatal(err)
		}
		return user, idle
	}
	if err := m.SetLoad(3); err != nil {
		t.Fatal(err)
	}
	start := time.Now().Add(time.Minute)
	if err := m.Advance(start); err != nil {
		t.Fatal(err)
	}
	user, idle := jiffies()
	if err := m.Advance(start.Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	user2, idle2 := jiffies()
	// 10 s of 8 cores, 3 of them busy, at 100 jiffies a second; each count
	// is rounded down.
	if u, i := user2-user, idle2-idle; u < 2999 || u > 3001 || i < 4999 || i > 5001 {
		t.Errorf("in 10 s %d jiffies were worked and %d idle, want 3000 and 5000", u, i)
	}
	if got, want := read(t, m.Proc(), "loadavg"), "3.00 3.00 3.00 4/500 5000"; got != want {
		t.Errorf("loadavg is %q, want %q", got, want)
	}
	if err := m.SetLoad(9); err == nil {
		t.Error("9 of 8 cores were busy")
	}
}

// TestConcurrentUse is for the race detector, and for readers: they never see
// half a file.
func TestConcurrentUse(t *testing.T) {
	m := write(t, machine.G())
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := m.Run(ctx); err != nil {
			t.Error(err)
		}
	})
	wg.Go(func() {
		defer cancel()
		for i := range 200 {
			for _, err := range []error{
				m.SetLoad(float64(i % 8)), m.Unbind("card0"), m.Bind("card0"),
				m.SetHealthy("card0", i%2 == 0), m.UseExternally("card0", "x"), m.Release("card0"),
			} {
				if err != nil {
					t.Error(err)
				}
			}
			m.Allocatable()
		}
	})
	wg.Go(func() {
		for ctx.Err() == nil {
			if s := read(t, m.Proc(), "stat"); !strings.HasSuffix(s, "procs_blocked 0") {
				t.Errorf("stat was read half written: %q", s)
				return
			}
		}
	})
	wg.Wait()
}
