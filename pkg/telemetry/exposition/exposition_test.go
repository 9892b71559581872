package exposition

import (
	"bytes"
	"flag"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	"github.com/prometheus/common/expfmt"

	"heteroaccel.io/pkg/accel"
	"heteroaccel.io/pkg/telemetry"
)

var update = flag.Bool("update", false, "update the golden file")

// shown is a collector of one scrape.
type shown telemetry.Scrape

func (shown) Describe(ch chan<- *prometheus.Desc)   { Describe(ch) }
func (s shown) Collect(ch chan<- prometheus.Metric) { Collect(ch, telemetry.Scrape(s)) }

func node() telemetry.Scrape {
	return telemetry.Scrape{
		Node: "g", Time: time.Unix(1, 0), CPUCores: 8, CPUBusy: 1.25,
		Devices: []accel.Device{
			{Kind: "GPU", ID: "0000:00:02.0", Resource: "gpu.intel.com/i915", Vendor: "Intel", Model: `Iris "Xe"`, Driver: "i915",
				Health: accel.Healthy, Slots: 2, Allocated: 1, ExternalUse: "a\\b\nc",
				PluginID: "card0", NUMA: new(1), Busy: new(0.5), BusySeconds: new(12.5),
				Holders: []accel.Holder{{Namespace: "default", Pod: "face-1", Container: "main", Slots: 1, Claim: "gpu-of-face-1"}}},
			{Kind: "NPU", ID: "0000:19:00.0", Health: accel.HealthUnknown, Reason: "its driver resets it", Slots: 1, Allocated: -1},
			{Kind: "NPU", ID: "1-2", Health: accel.Unhealthy, Reason: "no driver is bound to it", Slots: 1, Allocated: -1},
		},
		Collectors: []telemetry.Collector{{Name: "gpu", OK: true, Seconds: 0.25}, {Name: "podresources", Seconds: 2}},
	}
}

// text is a scrape as a real registry exposes it.
func text(tb testing.TB, s telemetry.Scrape) []byte {
	tb.Helper()
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(shown(s))
	families, err := registry.Gather()
	if err != nil {
		tb.Fatal(err)
	}
	var b bytes.Buffer
	for _, f := range families {
		if _, err := expfmt.MetricFamilyToText(&b, f); err != nil {
			tb.Fatal(err)
		}
	}
	return b.Bytes()
}

func TestGolden(t *testing.T) {
	path := filepath.Join("testdata", "node.prom")
	got := text(t, node())
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func TestLint(t *testing.T) {
	problems, err := promlint.New(bytes.NewReader(text(t, node()))).Lint()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
}

func TestParseIsInverseOfCollect(t *testing.T) {
	want := node()
	series, err := Parse(bytes.NewReader(text(t, want)))
	if err != nil {
		t.Fatal(err)
	}
	got, err := telemetry.Decode(series, want.Time)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func TestParsePassesOverHistogramsAndRefusesGarbage(t *testing.T) {
	series, err := Parse(bytes.NewReader([]byte("# TYPE a histogram\na_bucket{le=\"+Inf\"} 1\na_sum 1\na_count 1\n# TYPE b counter\nb 3\nc 4\n")))
	if err != nil {
		t.Fatal(err)
	}
	want := []telemetry.Series{{Name: "b", Labels: map[string]string{}, Value: 3}, {Name: "c", Labels: map[string]string{}, Value: 4}}
	byName := cmpopts.SortSlices(func(x, y telemetry.Series) bool { return x.Name < y.Name })
	if diff := cmp.Diff(want, series, byName); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	if _, err := Parse(bytes.NewReader([]byte("<html>not metrics</html>"))); err == nil {
		t.Error("HTML was read as metrics")
	}
}

// A page is rejected, or its scrape can be written and read again without a
// change.
func FuzzDecode(f *testing.F) {
	f.Add(text(f, node()))
	f.Add([]byte("heteroaccel_exporter_info{node=\"g\"} 1\nheteroaccel_device_slots{node=\"g\",kind=\"GPU\",id=\"0\"} NaN\n"))
	f.Add([]byte("heteroaccel_exporter_info{node=\"g\"} 1\nheteroaccel_cpu_cores{node=\"g\"} 4\nheteroaccel_cpu_busy_cores{node=\"g\"} 4\n"))
	f.Fuzz(func(t *testing.T, in []byte) {
		series, err := Parse(bytes.NewReader(in))
		if err != nil {
			return
		}
		at := time.Unix(5, 0)
		first, err := telemetry.Decode(series, at)
		if err != nil {
			return
		}
		if math.IsNaN(first.CPUBusy) || first.CPUBusy > first.CPUCores {
			t.Fatalf("%v of %v cores busy", first.CPUBusy, first.CPUCores)
		}
		again, err := Parse(bytes.NewReader(text(t, first)))
		if err != nil {
			t.Fatal(err)
		}
		second, err := telemetry.Decode(again, at)
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(first, second) {
			t.Errorf("(-first +second)\n%s", cmp.Diff(first, second))
		}
	})
}
