package monitor

import (
	"bytes"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"heteroaccel.io/pkg/accel"
	"heteroaccel.io/pkg/telemetry"
	"heteroaccel.io/pkg/telemetry/exposition"
)

// shown exposes telemetry as an exporter does.
type shown telemetry.Scrape

func (shown) Describe(ch chan<- *prometheus.Desc)   { exposition.Describe(ch) }
func (s shown) Collect(ch chan<- prometheus.Metric) { exposition.Collect(ch, telemetry.Scrape(s)) }

// exporter serves telemetry among other metrics, as the program does.
func exporter(t *testing.T, s telemetry.Scrape) *httptest.Server {
	t.Helper()
	registry := prometheus.NewRegistry()
	registry.MustRegister(shown(s), collectors.NewGoCollector())
	mux := http.NewServeMux()
	mux.Handle("/metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{}))
	return serve(t, mux)
}

func serve(t *testing.T, h http.Handler) *httptest.Server {
	t.Helper()
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	return server
}

// gpu is the telemetry of a node with a GPU of which that many slots are held.
func gpu(node string, allocated int) telemetry.Scrape {
	return telemetry.Scrape{Node: node, CPUCores: 4, CPUBusy: 1, Devices: []accel.Device{
		{Kind: "GPU", ID: "0000:00:02.0", Resource: "gpu.intel.com/i915", Health: accel.Healthy, Slots: 4, Allocated: allocated},
	}}
}

var ignoreTime = cmpopts.IgnoreFields(telemetry.Scrape{}, "Time")

func byNode(scrapes []telemetry.Scrape) []telemetry.Scrape {
	slices.SortFunc(scrapes, func(x, y telemetry.Scrape) int { return strings.Compare(x.Node, y.Node) })
	return scrapes
}

func TestScrapeReadsExporters(t *testing.T) {
	g, f := exporter(t, gpu("g", 1)), exporter(t, gpu("f", -1))
	source, err := Exporters([]string{g.URL, f.URL + "/metrics"}, nil, g.Client())
	if err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	got, err := source(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]telemetry.Scrape{gpu("f", -1), gpu("g", 1)}, byNode(got), ignoreTime); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	for _, s := range got {
		if s.Time.Before(start) || s.Time.After(time.Now()) {
			t.Errorf("scrape of %s has time %s", s.Node, s.Time)
		}
	}
}

func TestScrapeOfOneDeadExporterDoesNotHideTheOthers(t *testing.T) {
	endless := func(w http.ResponseWriter, r *http.Request) {
		line := bytes.Repeat([]byte("# a comment that goes on\n"), 1000)
		for r.Context().Err() == nil {
			if _, err := w.Write(line); err != nil {
				return
			}
		}
	}
	page := func(text string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, text) }
	}
	for name, tc := range map[string]struct {
		handler http.HandlerFunc
		want    string
	}{
		"error status": {func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "no", 500) }, "500"},
		"garbage":      {page("<html>"), "text format"},
		"not ours":     {page("go_goroutines 3\n"), "heteroaccel_exporter_info is missing"},
		"empty":        {page(""), "heteroaccel_exporter_info is missing"},
		"nonsense":     {page("heteroaccel_exporter_info{node=\"x\"} NaN\n"), "heteroaccel_exporter_info"},
		"without end":  {endless, "too large"},
		"cut off":      {func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, "EOF"},
		"half a page":  {page("heteroaccel_exporter_info{node=\"x\"} 1\nheteroaccel_device_info{node=\"x\",kind=\"GPU\",id=\"0\"} 1\n"), "heteroaccel_device_healthy is missing"},
	} {
		t.Run(name, func(t *testing.T) {
			good, bad := exporter(t, gpu("g", 1)), serve(t, tc.handler)
			source, err := Exporters([]string{bad.URL, good.URL}, nil, good.Client())
			if err != nil {
				t.Fatal(err)
			}
			got, err := source(t.Context())
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("error %v, want one that says %q", err, tc.want)
			}
			if diff := cmp.Diff([]telemetry.Scrape{gpu("g", 1)}, got, ignoreTime); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

func TestScrapeBoundsConcurrency(t *testing.T) {
	var now, most atomic.Int32
	var full sync.Once
	all := make(chan struct{}) // closed when as many as may are waiting
	server := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n := now.Add(1)
		defer now.Add(-1)
		for old := most.Load(); n > old && !most.CompareAndSwap(old, n); old = most.Load() {
		}
		if n == concurrency {
			full.Do(func() { close(all) })
		}
		<-all
		fmt.Fprintf(w, "heteroaccel_exporter_info{node=%q} 1\n", r.URL.Path)
	}))
	targets := make([]string, 0, concurrency+1)
	for i := range concurrency + 1 {
		targets = append(targets, fmt.Sprint(server.URL, "/", i))
	}
	source, err := Exporters(targets, nil, server.Client())
	if err != nil {
		t.Fatal(err)
	}
	if got, err := source(t.Context()); err != nil || len(got) != len(targets) {
		t.Fatalf("got %d scrapes, %v", len(got), err)
	}
	if most.Load() != concurrency {
		t.Errorf("%d at a time, want %d", most.Load(), concurrency)
	}
}
