package monitor

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"runtime"
	"runtime/metrics"
	"strings"
	"testing"
	"time"

	"heteroaccel.io/pkg/accel"
	"heteroaccel.io/pkg/telemetry"
)

// fleet answers as Prometheus does about nodes with two GPUs each, scraped every two
// seconds, one millisecond ago. A reply about nodes is that of the first of them
// for each, with the names replaced: building it must cost less than reading it.
type fleet struct {
	nodes  int
	series []telemetry.Series // of a node called NODE
	sent   int
}

func newFleet(nodes int) *fleet {
	s := telemetry.Scrape{Node: "NODE", CPUCores: 16, CPUBusy: 3.25}
	for d := range 2 {
		s.Devices = append(s.Devices, accel.Device{
			Kind: "GPU", ID: fmt.Sprintf("0000:%02x:00.0", d+3), Resource: "gpu.intel.com/i915", Vendor: "Intel", Model: "Arc A770", Driver: "i915",
			PluginID: fmt.Sprintf("card%d", d), Health: accel.Healthy, Slots: 1, Allocated: 1, Busy: new(0.5), BusySeconds: new(1234.5),
			Holders: []accel.Holder{{Namespace: "default", Pod: "face-recognition-7d9c5b6f4-abcde", Container: "main", Slots: 1}},
		})
	}
	return &fleet{nodes: nodes, series: telemetry.Encode(s)}
}

const fleetLabels = `"job":"heteroaccel-exporter","namespace":"heteroaccel-exporter","endpoint":"metrics","container":"exporter","instance":"10.0.1.1:9817","pod":"heteroaccel-exporter-NODE","node":"NODE","exported_node":"NODE"`

var nodeName = regexp.MustCompile(`node-\d{5}`)

// RoundTrip implements http.RoundTripper.
func (f *fleet) RoundTrip(r *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	form, err := url.ParseQuery(string(body))
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	switch query := form.Get("query"); {
	case query == "time()":
		b.WriteString(`{"status":"success","data":{"resultType":"scalar","result":[1700000060,"1700000060"]}}`)
	case strings.HasPrefix(query, "timestamp"):
		b.WriteString(`{"status":"success","data":{"resultType":"vector","result":[`)
		for n := range f.nodes {
			one := `{"metric":{` + fleetLabels + `},"value":[1700000060,"1700000059.999"]}`
			fmt.Fprintf(&b, "%s%s", strings.Repeat(",", min(n, 1)), strings.ReplaceAll(one, "NODE", fmt.Sprintf("node-%05d", n)))
		}
		b.WriteString(`]}}`)
	default:
		var one bytes.Buffer
		for i, s := range f.series {
			fmt.Fprintf(&one, `%s{"metric":{"__name__":%q,%s`, strings.Repeat(",", min(i, 1)), s.Name, fleetLabels)
			for k, v := range s.Labels {
				if k == "namespace" || k == "pod" || k == "container" {
					k = "exported_" + k
				}
				if v != "" && k != "node" {
					fmt.Fprintf(&one, `,%q:%q`, k, v)
				}
			}
			fmt.Fprintf(&one, `},"values":[[1700000057.999,"%v"],[1700000059.999,"%v"]]}`, s.Value, s.Value)
		}
		b.WriteString(`{"status":"success","data":{"resultType":"matrix","result":[`)
		for i, name := range nodeName.FindAllString(query, -1) {
			b.WriteString(strings.Repeat(",", min(i, 1)))
			b.WriteString(strings.ReplaceAll(one.String(), "NODE", name))
		}
		b.WriteString(`]}}`)
	}
	f.sent += b.Len()
	return &http.Response{StatusCode: http.StatusOK, Status: "200 OK", Body: io.NopCloser(&b), Request: r}, nil
}

// BenchmarkPrometheus is one round that asks Prometheus about 10,000 nodes.
// peak-MB is the largest heap during it, less what it was before.
func BenchmarkPrometheus(b *testing.B) {
	const nodes = 10_000
	f := newFleet(nodes)
	source, err := Prometheus("http://prometheus:9090", DefaultSelector, &http.Client{Transport: f})
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	peak := peakHeap()
	for b.Loop() {
		got, err := source(b.Context())
		if err != nil || len(got) != nodes {
			b.Fatalf("%d nodes, %v", len(got), err)
		}
	}
	b.ReportMetric(float64(peak())/1e6, "peak-MB")
	b.ReportMetric(float64(f.sent)/float64(b.N)/1e6, "answers-MB")
}

// peakHeap begins to watch the heap; the function it returns ends that, and returns
// by how many bytes it grew at most.
func peakHeap() (end func() uint64) {
	runtime.GC()
	base := heap()
	done, peak := make(chan struct{}), make(chan uint64)
	go func() {
		tick := time.NewTicker(time.Millisecond)
		defer tick.Stop()
		high := base
		for {
			select {
			case <-done:
				peak <- high - base
				return
			case <-tick.C:
				high = max(high, heap())
			}
		}
	}()
	return func() uint64 { close(done); return <-peak }
}

// heap is how many bytes objects on the heap take, garbage included.
func heap() uint64 {
	s := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
	metrics.Read(s)
	return s[0].Value.Uint64()
}
