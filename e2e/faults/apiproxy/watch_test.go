package apiproxy

import (
	"bufio"
	"fmt"
	"net/http"
	"sync/atomic"
	"testing"
	"time"
)

// watched is api with a watch of many events, which are counted as they are about to be
// sent.
func watched(w http.ResponseWriter, r *http.Request, sent *atomic.Int64) {
	if r.URL.Query().Get("watch") == "" {
		api(w, r)
		return
	}
	for r.Context().Err() == nil {
		fmt.Fprintf(w, "%d\n", sent.Add(1))
		w.(http.Flusher).Flush()
		select {
		case <-r.Context().Done():
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// TestWatches: a watch that is cut ends with an error, and of one that is stalled no
// further event arrives, though it does not end, while new connections work.
func TestWatches(t *testing.T) {
	tests := map[string]struct {
		breaks func(*Proxy) int
		ends   bool
	}{
		"cut":     {(*Proxy).Cut, true},
		"stalled": {(*Proxy).Stall, false},
	}
	for name, c := range tests {
		t.Run(name, func(t *testing.T) {
			var sent, arrived atomic.Int64
			p, client := started(t, func(w http.ResponseWriter, r *http.Request) { watched(w, r, &sent) })
			resp, err := client.Get(p.URL() + "/api/v1/pods?watch=true")
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			ended := make(chan error, 1)
			go func() {
				events := bufio.NewScanner(resp.Body)
				for events.Scan() {
					arrived.Add(1)
				}
				ended <- events.Err()
			}()
			eventually(t, "events arrive", func() bool { return arrived.Load() > 3 })
			if n := c.breaks(p); n != 1 {
				t.Errorf("%d connections, want 1", n)
			}
			before := sent.Load()
			if c.ends {
				if err := <-ended; err == nil {
					t.Error("it ended as if it was over")
				}
				return
			}
			other := client.Transport.(*http.Transport).Clone()
			defer other.CloseIdleConnections()
			if code, _ := get(t, &http.Client{Transport: other}, p.URL()+"/api/v1/pods/a"); code != 200 {
				t.Errorf("a new connection gets %d", code)
			}
			eventually(t, "there are further events", func() bool { return sent.Load() > before+20 })
			if n := arrived.Load(); n > before {
				t.Errorf("%d events arrived, want none after the %d that there were", n, before)
			}
			select {
			case err := <-ended:
				t.Errorf("it ended: %v", err)
			default:
			}
		})
	}
}

// TestGone: a watch from too early is counted.
func TestGone(t *testing.T) {
	p, client := started(t, api)
	get(t, client, p.URL()+"/api/v1/pods?watch=true&resourceVersion=1")
	if p.Gone() != 1 {
		t.Errorf("%d were gone, want 1", p.Gone())
	}
}
