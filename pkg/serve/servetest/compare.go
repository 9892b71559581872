// Package servetest measures HTTP handlers side by side, says what their decoders
// read, and waits for servers. Handlers, request bodies and checks enter; medians,
// tails and their ratios leave as benchmark metrics, bodies with their escapes
// corrected, and free addresses. Only tests import it.
package servetest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// Target is a handler to be measured.
type Target struct {
	// Name is part of the metrics' names.
	Name    string
	Handler http.Handler
	// Path is where it is posted to.
	Path string
}

// Echo is the baseline: it decodes a JSON body into a new T with
// encoding/json and encodes that again.
func Echo[T any]() Target {
	return Target{Name: "echo", Path: "/", Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var v T
		if err := json.NewDecoder(r.Body).Decode(&v); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		if err := json.NewEncoder(w).Encode(&v); err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
		}
	})}
}

// Floor reads a body and answers with a text of so many bytes, whatever the body says:
// no handler over HTTP takes less.
func Floor(bytes int) Target {
	answer := []byte(strings.Repeat("x", bytes))
	return Target{Name: "floor", Path: "/", Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, err := io.Copy(io.Discard, r.Body); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(answer) // an error means that the client is gone
	})}
}

// batch is how many requests each client sends to one target before all go on to
// the next.
const batch = 16

// Compare posts the same body to every target, from so many clients at once,
// at least b.N times each, over HTTP on loopback. The targets take short turns,
// each alone, so that other load on the machine slows all of them alike. Metrics: p50 and p99 of the first target, the baseline, in
// microseconds, and those of the others as multiples of it.
func Compare(b *testing.B, clients int, body []byte, targets ...Target) {
	b.Helper()
	urls := make([]string, len(targets))
	for i, t := range targets {
		s := httptest.NewServer(t.Handler)
		defer s.Close()
		urls[i] = s.URL + t.Path
	}
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: clients}}
	defer client.CloseIdleConnections()
	for _, url := range urls { // opens the connections, and warms up
		for range 20 {
			if err := post(client, url, body); err != nil {
				b.Fatal(err)
			}
		}
	}
	took := make([][]time.Duration, len(targets))
	b.ResetTimer()
	for done := 0; done < b.N; done += clients * batch {
		for t, url := range urls {
			took[t] = append(took[t], sendBatch(b, client, url, body, clients)...)
		}
	}
	b.StopTimer()
	for _, p := range []int{50, 99} {
		var baseline float64
		for i, t := range targets {
			at := percentile(took[i], p)
			if i == 0 {
				baseline = at
				b.ReportMetric(at, fmt.Sprintf("%s-p%d-µs", t.Name, p))
				continue
			}
			b.ReportMetric(at/baseline, fmt.Sprintf("%s-p%d/%s", t.Name, p, targets[0].Name))
		}
	}
	b.ReportMetric(0, "ns/op") // it would be that of all targets together
}

// sendBatch lets every client send its batch of requests to one target, and returns
// how long each took.
func sendBatch(b *testing.B, client *http.Client, url string, body []byte, clients int) []time.Duration {
	took := make([]time.Duration, clients*batch)
	var wg sync.WaitGroup
	for c := range clients {
		wg.Go(func() {
			for i := range batch {
				start := time.Now()
				if err := post(client, url, body); err != nil {
					b.Error(err)
					return
				}
				took[c*batch+i] = time.Since(start)
			}
		})
	}
	wg.Wait()
	return took
}

// percentile is in microseconds.
func percentile(all []time.Duration, p int) float64 {
	if len(all) == 0 {
		return 0
	}
	slices.Sort(all)
	return float64(all[(len(all)-1)*p/100]) / float64(time.Microsecond)
}

func post(client *http.Client, url string, body []byte) error {
	resp, err := client.Post(url, "application/json", bytes.NewReader(body))
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("POST %s: %s", url, resp.Status)
	}
	return nil
}

// Allocations measures one target without the network.
func Allocations(b *testing.B, body []byte, t Target) {
	b.ReportAllocs()
	for b.Loop() {
		req := httptest.NewRequest(http.MethodPost, t.Path, bytes.NewReader(body))
		req.Header.Set("Content-Type", "application/json")
		t.Handler.ServeHTTP(discard{header: http.Header{}}, req)
	}
}

// discard is a response that nobody reads.
type discard struct{ header http.Header }

func (n discard) Header() http.Header       { return n.header }
func (discard) Write(b []byte) (int, error) { return len(b), nil }
func (discard) WriteHeader(int)             {}
