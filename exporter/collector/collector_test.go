package collector

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/rs/zerolog"

	"heteroaccel.io/exporter/discovery"
	"heteroaccel.io/exporter/podresources"
	"heteroaccel.io/pkg/accel"
	"heteroaccel.io/pkg/telemetry"
)

const stat = "cpu  100 0 100 800 0 0 0 0 0 0\ncpu0 50 0 50 400 0 0 0 0 0 0\ncpu1 50 0 50 400 0 0 0 0 0 0\n"

// machine writes a node with one GPU and returns the collector's settings.
func machine(t *testing.T) Config {
	t.Helper()
	root := t.TempDir()
	for name, text := range map[string]string{
		"sys/class/drm/card0/device/vendor":             "0x8086",
		"sys/class/drm/card0/device/device":             "0x9a49",
		"sys/class/drm/card0/device/uevent":             "DRIVER=i915\nPCI_SLOT_NAME=0000:00:02.0",
		"sys/class/drm/card0/device/drm/renderD128/dev": "226:128",
		"proc/stat":      stat,
		"proc/loadavg":   "0.25 0 0 1/1 1",
		"proc/77/comm":   "blender",
		"proc/77/cgroup": "0::/user.slice",
		"proc/77/fd/x":   "",
	} {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text+"\n"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	fds := filepath.Join(root, "proc/77/fd")
	if err := os.Remove(filepath.Join(fds, "x")); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("/dev/dri/renderD128", filepath.Join(fds, "3")); err != nil {
		t.Fatal(err)
	}
	return Config{Node: "g", Sys: filepath.Join(root, "sys"), Proc: filepath.Join(root, "proc"), ExternalUse: true, Timeout: 10 * time.Second}
}

// serving is a kubelet that serves card0, which a pod holds.
func serving(context.Context) (podresources.Answer, error) {
	slot := podresources.Slot{Resource: "gpu.intel.com/i915", DeviceID: "card0-0"}
	return podresources.Answer{
		Allocatable: map[podresources.Slot]bool{slot: true},
		Held:        map[podresources.Slot]podresources.Holder{slot: {Namespace: "ns", Pod: "p", Container: "c"}},
	}, nil
}

// states says for each collector whether it succeeded.
func states(s telemetry.Scrape) map[string]bool {
	out := map[string]bool{}
	for _, c := range s.Collectors {
		out[c.Name] = c.OK
	}
	return out
}

func TestScrape(t *testing.T) {
	got := New(machine(t), serving, zerolog.Nop()).Scrape()
	want := telemetry.Scrape{Node: "g", CPUCores: 2, CPUBusy: 0.25, Devices: []accel.Device{{
		Kind: "GPU", ID: "0000:00:02.0", Resource: "gpu.intel.com/i915", Vendor: "Intel", Model: "Iris Xe Graphics", Driver: "i915",
		PluginID: "card0-0", Health: accel.Healthy, Slots: 1, Allocated: 1, ExternalUse: "blender",
		Holders: []accel.Holder{{Namespace: "ns", Pod: "p", Container: "c", Slots: 1}},
	}}}
	if diff := cmp.Diff(want, got, cmpopts.IgnoreFields(telemetry.Scrape{}, "Collectors")); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	all := map[string]bool{"cpu": true, "fpga": true, "gpu": true, "npu": true, "external_use": true, "pci": true, "podresources": true, "stick": true}
	if diff := cmp.Diff(all, states(got)); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func TestFailuresShowAndNeverLookIdle(t *testing.T) {
	breakFile := func(t *testing.T, path string) {
		if err := os.RemoveAll(path); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for name, tc := range map[string]struct {
		breakIt func(t *testing.T, c Config)
		kubelet Kubelet
		failed  string
		check   func(s telemetry.Scrape) bool
	}{
		"kubelet": {nil, func(context.Context) (podresources.Answer, error) {
			return podresources.Answer{}, podresources.ErrNoSocket
		}, "podresources", func(s telemetry.Scrape) bool { return len(s.Devices) == 1 && s.Devices[0].Allocated == -1 }},
		"drm: the kubelet still names the card": {func(t *testing.T, c Config) { breakFile(t, filepath.Join(c.Sys, "class/drm")) }, serving, "gpu",
			func(s telemetry.Scrape) bool { return len(s.Devices) == 1 && s.Devices[0].ID == "card0" }},
		"stat": {func(t *testing.T, c Config) { breakFile(t, filepath.Join(c.Proc, "stat")) }, serving, "cpu",
			func(s telemetry.Scrape) bool { return s.CPUCores == 0 && s.CPUBusy == 0 && len(s.Devices) == 1 }},
	} {
		t.Run(name, func(t *testing.T) {
			config := machine(t)
			if tc.breakIt != nil {
				tc.breakIt(t, config)
			}
			got := New(config, tc.kubelet, zerolog.Nop()).Scrape()
			for name, ok := range states(got) {
				if ok == (name == tc.failed) {
					t.Errorf("collector %s: success %t", name, ok)
				}
			}
			if !tc.check(got) {
				t.Errorf("scrape %+v", got)
			}
		})
	}
}

// A part that hangs fails alone, and is not started twice.
func TestAPartThatHangs(t *testing.T) {
	config := machine(t)
	config.Timeout = 50 * time.Millisecond
	var calls atomic.Int32
	release := make(chan struct{})
	c := New(config, func(context.Context) (podresources.Answer, error) {
		calls.Add(1)
		<-release
		return serving(context.Background())
	}, zerolog.Nop())
	for range 3 {
		got := c.Scrape()
		if states(got)["podresources"] || len(got.Devices) != 1 || got.Devices[0].Allocated != -1 {
			t.Fatalf("scrape %+v", got)
		}
	}
	if n := calls.Load(); n != 1 {
		t.Errorf("the kubelet was asked %d times at once", n)
	}
	close(release)
	for deadline := time.Now().Add(10 * time.Second); !states(c.Scrape())["podresources"]; {
		if time.Now().After(deadline) {
			t.Fatal("never recovered")
		}
	}
}

func TestScrapesAtTheSameTimeShareOneRead(t *testing.T) {
	config := machine(t)
	synctest.Test(t, func(t *testing.T) {
		var calls atomic.Int32
		release := make(chan struct{})
		c := New(config, func(ctx context.Context) (podresources.Answer, error) {
			calls.Add(1)
			<-release
			return serving(ctx)
		}, zerolog.Nop())
		var wg sync.WaitGroup
		for range 16 {
			wg.Go(func() {
				if s := c.Scrape(); !states(s)["podresources"] || len(s.Devices) != 1 {
					t.Errorf("scrape %+v", s)
				}
			})
		}
		synctest.Wait() // until every scraper waits
		close(release)
		wg.Wait()
		if n := calls.Load(); n != 1 {
			t.Errorf("16 scrapes asked the kubelet %d times, want once", n)
		}
	})
}

func TestConcurrentScrapesAndLint(t *testing.T) {
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(New(machine(t), serving, zerolog.Nop()))
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			if _, err := registry.Gather(); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	problems, err := testutil.GatherAndLint(registry)
	if err != nil || len(problems) > 0 {
		t.Errorf("lint: %v, %v", problems, err)
	}
}

func TestFailuresAreLoggedWhenTheyBeginAndEnd(t *testing.T) {
	var fail atomic.Bool
	var log bytes.Buffer
	c := New(machine(t), func(ctx context.Context) (podresources.Answer, error) {
		if fail.Load() {
			return podresources.Answer{}, errors.New("the kubelet sleeps")
		}
		return serving(ctx)
	}, zerolog.New(&log))
	for _, failing := range []bool{false, true, true, false, false} {
		fail.Store(failing)
		c.Scrape()
	}
	if n := strings.Count(log.String(), "\n"); n != 2 || !strings.Contains(log.String(), "the kubelet sleeps") {
		t.Errorf("log, want 2 lines:\n%s", log.String())
	}
}

func TestMeter(t *testing.T) {
	cpu := func(busy, total, load float64) discovery.CPU {
		return discovery.CPU{Cores: 4, Busy: busy, Total: total, Load: load}
	}
	for name, tc := range map[string]struct {
		scrapes []discovery.CPU
		want    []float64
	}{
		"first by load average":           {[]discovery.CPU{cpu(100, 1000, 1.5)}, []float64{1.5}},
		"first since boot":                {[]discovery.CPU{cpu(100, 1000, -1)}, []float64{0.4}}, // 100/1000 of 4
		"first without counters":          {[]discovery.CPU{cpu(0, 0, -1)}, []float64{0}},
		"between scrapes":                 {[]discovery.CPU{cpu(0, 0, 0), cpu(10, 20, 0), cpu(10, 40, 0)}, []float64{0, 2, 0}}, // 10/20 of 4
		"too soon: the value before":      {[]discovery.CPU{cpu(0, 0, 3), cpu(1, 1, 0)}, []float64{3, 3}},
		"too soon does not move the base": {[]discovery.CPU{cpu(0, 0, 3), cpu(1, 1, 0), cpu(2, 4, 0)}, []float64{3, 3, 2}}, // 2/4 of 4
		"counters that stand still":       {[]discovery.CPU{cpu(5, 9, 1), cpu(5, 9, 1)}, []float64{1, 1}},
		"counters that were reset":        {[]discovery.CPU{cpu(50, 90, 1), cpu(1, 2, 0.5)}, []float64{1, 0.5}},
		"busy went backwards":             {[]discovery.CPU{cpu(50, 90, 1), cpu(40, 100, 0)}, []float64{1, 0}},
	} {
		t.Run(name, func(t *testing.T) {
			var m meter
			for i, s := range tc.scrapes {
				if got := m.busy(s); got != tc.want[i] {
					t.Errorf("scrape %d: %v, want %v", i, got, tc.want[i])
				}
			}
		})
	}
}
