package collector

import (
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"heteroaccel.io/exporter/testmachine"
	"heteroaccel.io/pkg/accel"
	"heteroaccel.io/pkg/telemetry"
)

// stickOf returns the stick of a scrape, nil when it is unplugged.
func stickOf(s telemetry.Scrape) *accel.Device {
	i := slices.IndexFunc(s.Devices, func(d accel.Device) bool { return d.ID == "1-1.2" })
	if i < 0 {
		return nil
	}
	return &s.Devices[i]
}

// A stick that is unplugged, plugged in again and booted, scrape by scrape.
func TestStickOutAndIn(t *testing.T) {
	sys, proc := testmachine.Write(t, "stick-unbooted")
	c := New(Config{Node: "n", Sys: sys, Proc: proc, ExternalUse: true, Timeout: time.Minute}, kubeletOf(""), zerolog.Nop())
	stick := filepath.Join(sys, "devices/pci0000:00/0000:00:1a.7/usb1/1-1/1-1.2")
	link := filepath.Join(sys, "bus/usb/devices/1-1.2")
	away := filepath.Join(t.TempDir(), "stick")
	target, err := os.Readlink(link)
	if err != nil {
		t.Fatal(err)
	}
	out := func() error {
		if err := os.Remove(link); err != nil {
			return err
		}
		return os.Rename(stick, away)
	}
	in := func() error {
		if err := os.Rename(away, stick); err != nil {
			return err
		}
		return os.Symlink(target, link)
	}
	boot := func() error {
		if err := os.WriteFile(filepath.Join(stick, "idProduct"), []byte("f63b\n"), 0o644); err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(stick, "devnum"), []byte("6\n"), 0o644)
	}
	for _, step := range []struct {
		name string
		do   func() error
		in   bool
	}{
		{"at first", func() error { return nil }, true},
		{"unplugged", out, false},
		{"put in", in, true},
		{"booted", boot, true},
		{"unplugged again", out, false},
	} {
		if err := step.do(); err != nil {
			t.Fatal(err)
		}
		s := c.Scrape()
		if got := stickOf(s) != nil; got != step.in || !states(s)["stick"] {
			t.Errorf("%s: seen %t, want %t; collectors %v", step.name, got, step.in, states(s))
		}
	}
}

// The same during scrapes: a scrape has all of the stick or nothing of it, and no
// collector fails.
func TestStickOutAndInDuringScrapes(t *testing.T) {
	sys, proc := testmachine.Write(t, "stick-booted")
	c := New(Config{Node: "n", Sys: sys, Proc: proc, ExternalUse: true, Timeout: time.Minute}, kubeletOf(""), zerolog.Nop())
	stick := filepath.Join(sys, "devices/pci0000:00/0000:00:1a.7/usb1/1-1/1-1.2")
	away := filepath.Join(t.TempDir(), "stick")
	done := make(chan struct{})
	var hand sync.WaitGroup
	hand.Go(func() {
		from, to := stick, away
		for {
			select {
			case <-done:
				return
			default:
			}
			if err := os.Rename(from, to); err != nil {
				t.Error(err)
				return
			}
			from, to = to, from
		}
	})
	seen := map[bool]int{}
	for deadline := time.Now().Add(20 * time.Second); (seen[true] < 20 || seen[false] < 20) && time.Now().Before(deadline); {
		s := c.Scrape()
		if !states(s)["stick"] {
			t.Fatal("the search for sticks failed")
		}
		d := stickOf(s)
		seen[d != nil]++
		if d != nil && (d.Vendor != "Intel" || d.Model != "Neural Compute Stick 2") {
			t.Errorf("half a stick: %+v", *d)
		}
	}
	close(done)
	hand.Wait()
	if seen[true] == 0 || seen[false] == 0 {
		t.Errorf("seen in %d scrapes and not in %d", seen[true], seen[false])
	}
}
