package browse_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"heteroaccel.io/cli/browse"
	"heteroaccel.io/cli/pages"
)

// extender answers with its name and what the request has; under /stream with a line, and
// then nothing until the reader goes.
func extender(t *testing.T, name string) *httptest.Server {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "%s %s host=%s token=%q\n", name, r.URL, r.Host, r.Header.Get("Authorization"))
		if r.URL.Path == "/stream" {
			w.(http.Flusher).Flush()
			<-r.Context().Done()
		}
	}))
	t.Cleanup(s.Close)
	return s
}

// get asks for a path under a host, "" for the server's own.
func get(t *testing.T, method, url, host string) (status int, body string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Host = host
	r.Header.Set("Authorization", "Bearer of-the-page")
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, strings.TrimSpace(string(text))
}

// TestRequests: those for a loopback address are passed on, without what a page sends of
// its own; no other, and none that changes anything.
func TestRequests(t *testing.T) {
	a := extender(t, "a")
	s := httptest.NewServer(browse.New(t.Context(), func(context.Context) (*pages.Client, error) { return pages.At(a.URL), nil }))
	t.Cleanup(s.Close)
	upstream := strings.TrimPrefix(a.URL, "http://")
	for name, tt := range map[string]struct {
		method, path, host string
		status             int
		body               string
	}{
		"a page":            {"GET", "/nodes?limit=2", "", 200, `a /nodes?limit=2 host=` + upstream + ` token=""`},
		"by name":           {"GET", "/ui/", "localhost:80", 200, `a /ui/ host=` + upstream + ` token=""`},
		"over IPv6":         {"GET", "/ui/", "[::1]:80", 200, `a /ui/ host=` + upstream + ` token=""`},
		"without a port":    {"GET", "/ui/", "127.0.0.1", 200, `a /ui/ host=` + upstream + ` token=""`},
		"another's name":    {"GET", "/pods", "evil.example:80", 403, "open this page by the address that was printed"},
		"one like loopback": {"GET", "/pods", "localhost.evil.example", 403, "open this page by the address that was printed"},
		"a change":          {"POST", "/pods", "", 405, "the pages are only to be looked at: use GET"},
	} {
		t.Run(name, func(t *testing.T) {
			if status, body := get(t, tt.method, s.URL+tt.path, tt.host); status != tt.status || body != tt.body {
				t.Errorf("%d %s, want %d %s", status, body, tt.status, tt.body)
			}
		})
	}
}

// TestAnotherExtender: a stream comes as it is written; when its extender goes away the next
// request reports that, and the one after that has another.
func TestAnotherExtender(t *testing.T) {
	a, b := extender(t, "a"), extender(t, "b")
	next := []*httptest.Server{a, b}
	ended := make(chan struct{})
	p := browse.New(t.Context(), func(ctx context.Context) (*pages.Client, error) {
		if len(next) == 0 {
			return nil, errors.New("no extender is ready")
		}
		at := next[0]
		next = next[1:]
		context.AfterFunc(ctx, func() {
			if at == a {
				close(ended)
			}
		})
		return pages.At(at.URL), nil
	})
	if err := p.Reach(); err != nil {
		t.Fatal(err)
	}
	s := httptest.NewServer(p)
	t.Cleanup(s.Close)
	resp, err := http.Get(s.URL + "/stream")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if line, err := bufio.NewReader(resp.Body).ReadString('\n'); err != nil || !strings.HasPrefix(line, "a /stream") {
		t.Fatalf("the stream began with %q, %v", line, err)
	}
	a.CloseClientConnections()
	a.Close()
	if _, err := io.ReadAll(resp.Body); err == nil {
		t.Error("the stream of an extender that went away ended as if it were whole")
	}
	if status, body := get(t, "GET", s.URL+"/nodes", ""); status != 502 || !strings.Contains(body, "cannot be reached") {
		t.Errorf("%d %s, want 502", status, body)
	}
	<-ended // what was held for it
	if status, body := get(t, "GET", s.URL+"/nodes", ""); status != 200 || !strings.HasPrefix(body, "b /nodes") {
		t.Errorf("%d %s, want b's page", status, body)
	}
	b.CloseClientConnections()
	b.Close()
	get(t, "GET", s.URL+"/nodes", "")
	if status, body := get(t, "GET", s.URL+"/nodes", ""); status != 502 || body != "no extender is ready" {
		t.Errorf("%d %s, want 502 and why", status, body)
	}
}

// TestNoExtender: the error is the one of who looked.
func TestNoExtender(t *testing.T) {
	p := browse.New(t.Context(), func(context.Context) (*pages.Client, error) { return nil, errors.New("none is ready") })
	if err := p.Reach(); err == nil || err.Error() != "none is ready" {
		t.Errorf("the error is %v", err)
	}
}
