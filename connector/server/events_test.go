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
	k.serve()
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

// TestDescribed: the document names every path, and describes what is answered.
func TestDescribed(t *testing.T) {
	_, s := door(t)
	resp, err := http.Get(s.URL + "/openapi.json")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	doc := readAll(t, resp)
	for _, want := range []string{`"/v1/sessions"`, `"/v1/sessions/{id}"`, `"/v1/sessions/{id}/renew"`, `"/v1/sessions/{id}/events"`, `"202"`, `"Retry-After"`} {
		if !strings.Contains(doc, want) {
			t.Errorf("%s is not in the document", want)
		}
	}
}
