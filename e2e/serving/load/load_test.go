package load

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"heteroaccel.io/e2e/poll"
)

// enough is how many requests each test waits for.
const enough = 20

func answers(w http.ResponseWriter, _ *http.Request) {
	fmt.Fprint(w, `{"pod": "a", "device": "GPU"}`)
}

// TestLoad: every way in which a request can fail is counted and told of, once for each.
func TestLoad(t *testing.T) {
	for name, test := range map[string]struct {
		// then is what answers from the second request on; nil closes the listener.
		then http.HandlerFunc
		want string
	}{
		"answered": {then: answers},
		"refused":  {want: "connection refused"},
		"reset": {want: "connection reset", then: func(w http.ResponseWriter, _ *http.Request) {
			conn, _, _ := w.(http.Hijacker).Hijack()
			_ = conn.(*net.TCPConn).SetLinger(0)
			_ = conn.Close()
		}},
		"closed": {want: "EOF", then: func(w http.ResponseWriter, _ *http.Request) {
			conn, _, _ := w.(http.Hijacker).Hijack()
			_ = conn.Close()
		}},
		"cut short": {want: "unexpected EOF", then: func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "100")
			fmt.Fprint(w, `{"pod": "a"}`)
		}},
		"late":       {want: "Client.Timeout exceeded", then: func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }},
		"not 200":    {want: "503 Service Unavailable: no", then: func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "no", http.StatusServiceUnavailable) }},
		"another's":  {want: "is no server's", then: func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, `{}`) }},
		"redirected": {want: "404 Not Found", then: func(w http.ResponseWriter, r *http.Request) { redirectOnce(w, r) }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var asked, connections atomic.Int64
			server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if asked.Add(1) == 1 || test.then == nil {
					answers(w, r)
					return
				}
				test.then(w, r)
			}))
			server.Config.ConnState = func(_ net.Conn, s http.ConnState) {
				if s == http.StateNew {
					connections.Add(1)
				}
			}
			server.Start()
			defer server.Close()
			r := loaded(t, server, test.then == nil)
			if test.want == "" {
				if r.Failed != 0 || r.Answers["a"] != r.Requests || r.Devices["a"] != "GPU" || r.Slowest <= 0 {
					t.Errorf("the report is %+v", r)
				}
				if n := connections.Load(); n < int64(r.Requests) {
					t.Errorf("there were %d connections for %d requests", n, r.Requests)
				}
				return
			}
			// The first of them may have been answered before the listener was closed.
			if r.Failed < enough-r.Answers["a"] || r.Requests != r.Failed+r.Answers["a"] || test.then != nil && len(r.Answers) > 0 {
				t.Errorf("the report is %+v", r)
			}
			if len(r.Failures) == 0 || !strings.Contains(r.Failures[len(r.Failures)-1].Error, test.want) {
				t.Errorf("the failures are %v, want %q", r.Failures, test.want)
			}
		})
	}
}

// redirectOnce sends whoever asks for the root to a page that there is not.
func redirectOnce(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/" {
		http.Redirect(w, r, "/elsewhere", http.StatusFound)
		return
	}
	http.NotFound(w, r)
}

// loaded runs a load until enough requests have ended, and returns its report.
func loaded(t *testing.T, server *httptest.Server, refuse bool) (r Report) {
	t.Helper()
	l := &Load{URL: server.URL, Every: time.Millisecond, Limit: 300 * time.Millisecond, Begun: func() {
		if refuse {
			server.Listener.Close()
		}
	}}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		l.Run(ctx)
	}()
	defer func() {
		cancel()
		<-ended
	}()
	if err := poll.Within(t.Context(), 30*time.Second, func(context.Context) error {
		w := httptest.NewRecorder()
		l.ServeHTTP(w, nil)
		if w.Code != http.StatusOK {
			return fmt.Errorf("the report is %d: %s", w.Code, w.Body)
		}
		r = Report{}
		if err := json.Unmarshal(w.Body.Bytes(), &r); err != nil {
			return err
		}
		if r.Requests < enough {
			return fmt.Errorf("there were %d requests", r.Requests)
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if r.Begin.IsZero() || r.Seconds <= 0 || r.Rate() <= 0 {
		t.Errorf("the report is of %v, %v s, %v a second", r.Begin, r.Seconds, r.Rate())
	}
	return r
}

// TestNotBegun: while nobody answers there is no report, and nothing counts.
func TestNotBegun(t *testing.T) {
	server := httptest.NewServer(http.NotFoundHandler())
	defer server.Close()
	l := &Load{URL: server.URL, Every: time.Millisecond, Limit: time.Second, Begun: func() { t.Error("it has begun") }}
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	l.Run(ctx)
	w := httptest.NewRecorder()
	if l.ServeHTTP(w, nil); w.Code != http.StatusServiceUnavailable {
		t.Errorf("the report is %d: %s", w.Code, w.Body)
	}
}
