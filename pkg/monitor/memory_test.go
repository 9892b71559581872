package monitor

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"net/http"
	"runtime/debug"
	"strings"
	"sync/atomic"
	"testing"
)

// TestPagesFillNoMemory: exporters that answer with as much as they can, packed so
// that it costs them nothing, all at once, stay within what the programs may have,
// and hide no honest one.
func TestPagesFillNoMemory(t *testing.T) {
	const megabyte = 1 << 20
	for name, lines := range map[string]int{"larger than a page may be": 40_000, "as large as it may be": 18_000} {
		t.Run(name, func(t *testing.T) {
			var packed bytes.Buffer
			z := gzip.NewWriter(&packed)
			fmt.Fprint(z, "heteroaccel_exporter_info{node=\"g\"} 1\n")
			for i := range lines {
				fmt.Fprintf(z, "heteroaccel_device_slots{node=\"g\",kind=\"G\",id=\"%d\"} 1\n", i)
			}
			if err := z.Close(); err != nil {
				t.Fatal(err)
			}
			var asked atomic.Int32
			bomb := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				asked.Add(1)
				w.Header().Set("Content-Encoding", "gzip")
				_, _ = w.Write(packed.Bytes())
			}))
			honest := exporter(t, gpu("h", 1))
			targets := []string{honest.URL}
			for i := range concurrency {
				targets = append(targets, fmt.Sprint(bomb.URL, "/", i))
			}
			source, err := Exporters(targets, nil, bomb.Client())
			if err != nil {
				t.Fatal(err)
			}
			// As in the manifests, so that garbage is not counted that a program would
			// have collected.
			defer debug.SetMemoryLimit(debug.SetMemoryLimit(160 * megabyte))
			defer debug.SetGCPercent(debug.SetGCPercent(50))
			peak := peakHeap()
			got, err := source(t.Context())
			used := peak() / megabyte
			t.Logf("%d pages of %d kB packed: %d MB", asked.Load(), packed.Len()>>10, used)
			if used > 128 {
				t.Errorf("the heap grew by %d MB", used)
			}
			if len(got) != 1 || got[0].Node != "h" || err == nil || int(asked.Load()) != concurrency {
				t.Errorf("got %v, %d asked, %.200v", got, asked.Load(), err)
			}
		})
	}
}

// TestAnswerFillsNoMemory is the same of Prometheus' answer.
func TestAnswerFillsNoMemory(t *testing.T) {
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	fmt.Fprint(z, `{"status":"success","data":{"resultType":"scalar","result":[`)
	fmt.Fprint(z, strings.Repeat("[1,2],", 12<<20/6))
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	s := serve(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Encoding", "gzip")
		_, _ = w.Write(packed.Bytes())
	}))
	peak := peakHeap()
	_, err := askFor(t, s.Config.Handler, DefaultSelector)
	if used := peak() >> 20; err == nil || !strings.Contains(err.Error(), "too large") || used > 64 {
		t.Errorf("the heap grew by %d MB: %v", used, err)
	}
}
