package server

import (
	"bufio"
	"io"
	"net/http"
	"strings"
	"testing"
)

func readAll(t *testing.T, resp *http.Response) string {
	t.Helper()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

// TestEvents: a client sees its session wait, served and ended.
func TestEvents(t *testing.T) {
	k, s := door(t)
	a := ask(t, s, "POST", "/v1/sessions", "camera", faceRequest)
	r, err := http.NewRequestWithContext(t.Context(), "GET", s.URL+a.Header.Get("Location")+"/events", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("X-Client", "camera")
	resp, err := s.Client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if got := resp.Header.Get("Content-Type"); resp.StatusCode != http.StatusOK || got != "text/event-stream" {
		t.Fatalf("%d, %s", resp.StatusCode, got)
	}
	lines := bufio.NewScanner(resp.Body)
	next := func() (event, data string) {
		for lines.Scan() {
			switch line := lines.Text(); {
			case strings.HasPrefix(line, "event: "):
				event = line[len("event: "):]
			case strings.HasPrefix(line, "data: "):
				return event, line[len("data: "):]
			}
		}
		t.Fatalf("the stream ended: %v", lines.Err())
		return "", ""
	}
	if event, data := next(); event != "session" || !strings.Contains(data, `"state":"waiting"`) {
		t.Errorf("first %s: %s", event, data)
	}
	k.Serve(served)
	if event, data := next(); event != "session" || !strings.Contains(data, `"address":"10.0.0.7:8080"`) {
		t.Errorf("then %s: %s", event, data)
	}
	ask(t, s, "DELETE", a.Header.Get("Location"), "camera", "")
	if event, data := next(); event != "ended" || !strings.Contains(data, a.session.ID) {
		t.Errorf("last %s: %s", event, data)
	}
	if lines.Scan() && lines.Text() != "" || lines.Scan() {
		t.Errorf("after the end comes %q", lines.Text())
	}
}

// TestWatchNothing: what is not there has no stream.
func TestWatchNothing(t *testing.T) {
	_, s := door(t)
	for name, c := range map[string]struct{ path, client string }{
		"never was":        {"/v1/sessions/aaaaaaaaaaaaaaaaaaaaaaaaaa/events", "camera"},
		"another client's": {ask(t, s, "POST", "/v1/sessions", "camera", faceRequest).Header.Get("Location") + "/events", "another"},
	} {
		t.Run(name, func(t *testing.T) {
			if a := ask(t, s, "GET", c.path, c.client, ""); a.StatusCode != http.StatusNotFound || !strings.Contains(a.problem.Detail, "has ended") {
				t.Errorf("%d: %s", a.StatusCode, a.text)
			}
		})
	}
}

// TestNoSuchOperation: what no operation is there for is a problem as well.
func TestNoSuchOperation(t *testing.T) {
	_, s := door(t)
	for name, c := range map[string]struct {
		method, path string
		status       int
		allow, says  string
	}{
		"no such path":      {"GET", "/v2/sessions", 404, "", "GET / lists what there is"},
		"method of a list":  {"DELETE", "/v1/sessions", 405, "GET, HEAD, POST", "use GET, HEAD, POST"},
		"method of one":     {"PUT", "/v1/sessions/x", 405, "GET, HEAD, DELETE", "use GET, HEAD, DELETE"},
		"method of a renew": {"GET", "/v1/sessions/x/renew", 405, "POST", "use POST"},
	} {
		t.Run(name, func(t *testing.T) {
			a := ask(t, s, c.method, c.path, "camera", "")
			if a.StatusCode != c.status || a.problem.Status != c.status || a.Header.Get("Allow") != c.allow || !strings.Contains(a.problem.Detail, c.says) {
				t.Errorf("%d, Allow %q: %s", a.StatusCode, a.Header.Get("Allow"), a.text)
			}
		})
	}
}

// TestDescribed: the document names every path, and describes what is answered.
func TestDescribed(t *testing.T) {
	_, s := door(t)
	resp, err := http.Get(s.URL + "/openapi.json")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	doc := readAll(t, resp)
	for _, want := range []string{`"/v1/sessions"`, `"/v1/sessions/{id}"`, `"/v1/sessions/{id}/renew"`, `"/v1/sessions/{id}/events"`, `"202"`, `"Retry-After"`, `"contentSchema":{"$ref":"#/components/schemas/Ended"}`} {
		if !strings.Contains(doc, want) {
			t.Errorf("%s is not in the document", want)
		}
	}
}
