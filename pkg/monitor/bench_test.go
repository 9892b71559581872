package monitor

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"runtime/metrics"
	"strings"
	"testing"
	"time"

	"heteroaccel.io/pkg/accel"
	"heteroaccel.io/pkg/telemetry"
)

// fleetAnswer is Prometheus' answer about nodes with two GPUs each, scraped
// every two seconds for a minute.
func fleetAnswer(nodes int) []byte {
	var b bytes.Buffer
	b.WriteString(`{"status":"success","data":{"resultType":"matrix","result":[`)
	comma := ""
	for n := range nodes {
		s := telemetry.Scrape{Node: fmt.Sprintf("node-%04d", n), CPUCores: 16, CPUBusy: 3.25}
		for d := range 2 {
			s.Devices = append(s.Devices, accel.Device{
				Kind: "GPU", ID: fmt.Sprintf("0000:%02x:00.0", d+3), Resource: "gpu.intel.com/i915", Vendor: "Intel", Model: "Arc A770", Driver: "i915",
				PluginID: fmt.Sprintf("card%d", d), Health: accel.Healthy, Slots: 1, Allocated: 1, Busy: new(0.5), BusySeconds: new(1234.5),
				Holders: []accel.Holder{{Namespace: "default", Pod: fmt.Sprintf("face-recognition-7d9c5b6f4-%05d", n), Container: "main", Slots: 1}},
			})
		}
		for _, name := range []string{"cpu", "external_use", "fpga", "gpu", "npu", "pci", "podresources", "stick"} {
			s.Collectors = append(s.Collectors, telemetry.Collector{Name: name, OK: true, Seconds: 0.000123456})
		}
		for _, one := range telemetry.Encode(s) {
			fmt.Fprintf(&b, `%s{"metric":{"__name__":%q,"job":"heteroaccel-exporter","instance":"10.0.%d.%d:9817"`, comma, one.Name, n/250, n%250)
			comma = ","
			for k, v := range one.Labels {
				if v != "" {
					fmt.Fprintf(&b, `,%q:%q`, k, v)
				}
			}
			b.WriteString(`},"values":[`)
			for i := range 30 {
				fmt.Fprintf(&b, `%s[%d.%03d,"%v"]`, strings.Repeat(",", min(i, 1)), 1_700_000_000+2*i, n%1000, one.Value)
			}
			b.WriteString(`]}`)
		}
	}
	b.WriteString(`]}}`)
	return b.Bytes()
}

// canned is the answer to every query but that for the time.
type canned []byte

func (c canned) RoundTrip(r *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	text := []byte(c)
	if strings.HasPrefix(string(body), "query=time") {
		text = []byte(`{"status":"success","data":{"resultType":"scalar","result":[1700000060,"1700000060"]}}`)
	}
	return &http.Response{StatusCode: http.StatusOK, Status: "200 OK", Body: io.NopCloser(bytes.NewReader(text)), Request: r}, nil
}

// BenchmarkPrometheus is one round that asks Prometheus about 5,000 nodes.
// peak-MB is the largest heap during it, without the answer as it was sent.
func BenchmarkPrometheus(b *testing.B) {
	answer := fleetAnswer(5000)
	source, err := Prometheus("http://prometheus:9090", &http.Client{Transport: canned(answer)})
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	runtime.GC()
	base := heap()
	done, peak := make(chan struct{}), make(chan uint64)
	go func() {
		tick := time.NewTicker(time.Millisecond)
		defer tick.Stop()
		var high uint64
		for {
			select {
			case <-done:
				peak <- high
				return
			case <-tick.C:
				high = max(high, heap())
			}
		}
	}()
	for b.Loop() {
		got, err := source(b.Context())
		if err != nil || len(got) != 5000 {
			b.Fatalf("%d nodes, %v", len(got), err)
		}
	}
	close(done)
	b.ReportMetric(float64(<-peak-base)/1e6, "peak-MB")
	b.ReportMetric(float64(len(answer))/1e6, "answer-MB")
}

// heap is how many bytes objects on the heap take, garbage included.
func heap() uint64 {
	s := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
	metrics.Read(s)
	return s[0].Value.Uint64()
}
