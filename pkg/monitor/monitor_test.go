package monitor

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/rs/zerolog"

	"heteroaccel.io/pkg/telemetry"
)

// start runs a monitor until the test ends and checks that it stops.
func start(t *testing.T, m *Monitor) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- m.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
}

// eventually polls until a condition holds.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !holds(); runtime.Gosched() {
		if time.Now().After(deadline) {
			t.Fatalf("never: %s", what)
		}
	}
}

func TestMonitorPassesEachScrapeOnce(t *testing.T) {
	now := time.Now()
	at := func(node string, s int) telemetry.Scrape {
		return telemetry.Scrape{Node: node, Time: now.Add(time.Duration(s) * time.Second)}
	}
	rounds := [][]telemetry.Scrape{
		{at("a", -9), at("b", -9)},
		{at("a", -9), at("b", -8)},   // nothing new of a
		{at("a", -10)},               // older than the last
		{at("a", -7), at("b", 3600)}, // b's clock was wrong
		{at("b", -1)},                // b's clock was set
	}
	var round atomic.Int32
	source := func(context.Context) ([]telemetry.Scrape, error) {
		if i := int(round.Add(1)) - 1; i < len(rounds) {
			return rounds[i], nil
		}
		return nil, nil
	}
	var mu sync.Mutex
	var got []telemetry.Scrape
	m := New(source, time.Millisecond, func(s telemetry.Scrape) {
		mu.Lock()
		defer mu.Unlock()
		got = append(got, s)
	}, zerolog.Nop())
	start(t, m)
	eventually(t, "all rounds", func() bool { return int(round.Load()) > len(rounds) })
	mu.Lock()
	defer mu.Unlock()
	want := []telemetry.Scrape{at("a", -9), at("b", -9), at("b", -8), at("a", -7), at("b", 3600), at("b", -1)}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func TestMonitorIsSyncedAfterTheFirstRoundEvenWhenItFails(t *testing.T) {
	release := make(chan struct{})
	m := New(func(context.Context) ([]telemetry.Scrape, error) {
		<-release
		return nil, errors.New("nobody there")
	}, time.Millisecond, func(telemetry.Scrape) {}, zerolog.Nop())
	start(t, m)
	if m.Synced() == nil {
		t.Error("synced before the first round")
	}
	close(release)
	eventually(t, "synced", func() bool { return m.Synced() == nil })
}

func TestMonitorLogsWhenItBeginsToFailAndWhenItRecovers(t *testing.T) {
	var fail atomic.Bool
	var log bytes.Buffer
	m := New(func(context.Context) ([]telemetry.Scrape, error) {
		if fail.Load() {
			return nil, errors.New("nobody there")
		}
		return nil, nil
	}, time.Hour, func(telemetry.Scrape) {}, zerolog.New(&log))
	for _, failing := range []bool{true, true, true, false, false} {
		fail.Store(failing)
		m.round(t.Context())
	}
	if n := strings.Count(log.String(), "\n"); n != 2 {
		t.Errorf("%d lines, want 2:\n%s", n, log.String())
	}
}

// TestMonitorReportsConflicts: once in the log, for as long as they last in the
// metric and to those who ask.
func TestMonitorReportsConflicts(t *testing.T) {
	var log bytes.Buffer
	var err error
	m := New(func(context.Context) ([]telemetry.Scrape, error) { return nil, err }, time.Hour, func(telemetry.Scrape) {}, zerolog.New(&log))
	g, f := &Conflict{"g", "both a and b say that they are it"}, &Conflict{"f", "its exporter says that it is node g"}
	dead := errors.New("nobody there")
	for i, step := range []struct {
		errs  []error
		nodes float64
		lines int // in all
	}{
		{[]error{dead}, 0, 1},
		{[]error{dead, errors.Join(g)}, 1, 2},
		{[]error{g, dead, f}, 2, 3},
		{[]error{f, g, dead}, 2, 3},
		{[]error{dead}, 0, 3},
		{[]error{dead, g}, 1, 3}, // not again for ten minutes
		{nil, 0, 4},
	} {
		err = errors.Join(step.errs...)
		m.round(t.Context())
		if got := value(t, m, "heteroaccel_telemetry_conflicting_nodes"); got != step.nodes {
			t.Errorf("step %d: %v nodes, want %v", i, got, step.nodes)
		}
		if lines := strings.Count(log.String(), "\n"); lines != step.lines {
			t.Errorf("step %d: %d lines, want %d:\n%s", i, lines, step.lines, log.String())
		}
		if why := m.Conflict("g"); (why != "") != (slices.Contains(step.errs, error(g)) || i == 1) {
			t.Errorf("step %d: g is said to be ignored because of %q", i, why)
		}
	}
	if !strings.Contains(log.String(), `"node":"g","why":"both a and b say that they are it"`) {
		t.Errorf("the log does not name the node and the sources:\n%s", log.String())
	}
}

// value reads a gauge.
func value(t *testing.T, m *Monitor, name string) float64 {
	t.Helper()
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(m)
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == name {
			return f.GetMetric()[0].GetGauge().GetValue()
		}
	}
	t.Fatalf("there is no %s", name)
	return 0
}

// TestConflictsAreBounded: neither the log nor what is kept grows with what somebody
// else writes.
func TestConflictsAreBounded(t *testing.T) {
	var log bytes.Buffer
	var errs []error
	m := New(func(context.Context) ([]telemetry.Scrape, error) { return nil, errors.Join(errs...) }, time.Hour, func(telemetry.Scrape) {}, zerolog.New(&log))
	long := strings.Repeat("x", 10_000)
	for round := range 3 {
		errs = nil
		for i := range 3 * maxConflicts {
			errs = append(errs, &Conflict{fmt.Sprint(round, "-", i, long), long})
		}
		m.round(t.Context())
	}
	if n := len(m.conflicts) + len(m.logged); n > 2*maxConflicts {
		t.Errorf("%d nodes are kept", n)
	}
	if n := log.Len(); n > 2*maxConflicts*(maxText+100) {
		t.Errorf("%d bytes were logged", n)
	}
}

func TestMonitorMetrics(t *testing.T) {
	errs := []error{nil, errors.New("nobody there")}
	scraped := time.Now().Add(-30 * time.Second)
	m := New(func(context.Context) ([]telemetry.Scrape, error) {
		err := errs[0]
		errs = errs[1:]
		return []telemetry.Scrape{{Node: "g", Time: scraped}}, err
	}, time.Hour, func(telemetry.Scrape) {}, zerolog.Nop())
	m.round(t.Context())
	m.round(t.Context())

	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(m)
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	values := map[string]float64{}
	for _, f := range families {
		values[f.GetName()] = f.GetMetric()[0].GetGauge().GetValue() + f.GetMetric()[0].GetCounter().GetValue()
	}
	if age := values["heteroaccel_telemetry_age_seconds"]; age < 30 || age > 60 {
		t.Errorf("age %v", age)
	}
	if rounds, failed := values["heteroaccel_telemetry_reads_total"], values["heteroaccel_telemetry_read_errors_total"]; rounds != 2 || failed != 1 {
		t.Errorf("%v rounds, %v failed", rounds, failed)
	}
	if success := values["heteroaccel_telemetry_last_success_timestamp_seconds"]; success < float64(scraped.Unix()) {
		t.Errorf("last success %v", success)
	}
	problems, err := testutil.GatherAndLint(registry)
	if err != nil || len(problems) > 0 {
		t.Errorf("lint: %v, %v", problems, err)
	}
}

func TestMonitorRejectsAnIntervalOfZero(t *testing.T) {
	if err := New(nil, 0, nil, zerolog.Nop()).Run(t.Context()); err == nil {
		t.Error("no error")
	}
}

// A monitor that is stopped during a round leaves no goroutine.
func TestMonitorStopsDuringARound(t *testing.T) {
	before := runtime.NumGoroutine()
	asked := make(chan struct{}, 1)
	m := New(func(ctx context.Context) ([]telemetry.Scrape, error) {
		asked <- struct{}{}
		<-ctx.Done()
		return nil, ctx.Err()
	}, time.Hour, func(telemetry.Scrape) {}, zerolog.Nop())
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- m.Run(ctx) }()
	<-asked
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	eventually(t, "no goroutine more than before", func() bool { return runtime.NumGoroutine() <= before })
}
