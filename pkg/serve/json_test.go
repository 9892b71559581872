package serve

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/rs/zerolog"
)

func TestBody(t *testing.T) {
	const limit = 16
	for name, c := range map[string]struct {
		body        io.Reader
		contentType string
		status      int
		want        string
	}{
		"json":              {strings.NewReader(`{"a":1}`), "application/json", 200, `{"a":1}`},
		"json and charset":  {strings.NewReader(`{}`), "application/json; charset=utf-8", 200, `{}`},
		"exactly at limit":  {strings.NewReader(strings.Repeat("x", limit)), "application/json", 200, strings.Repeat("x", limit)},
		"one over":          {strings.NewReader(strings.Repeat("x", limit+1)), "application/json", 413, "larger than the 16 bytes"},
		"over, unannounced": {io.MultiReader(strings.NewReader(strings.Repeat("x", limit+1))), "application/json", 413, "larger than the 16 bytes"},
		"no content type":   {strings.NewReader(`{}`), "", 415, "application/json"},
		"a form":            {strings.NewReader(`a=1`), "application/x-www-form-urlencoded", 415, "application/json"},
		"empty":             {strings.NewReader(""), "application/json", 400, "empty"},
		"cut off":           {errReader{}, "application/json", 400, "ended too early"},
	} {
		t.Run(name, func(t *testing.T) {
			r := httptest.NewRequest(http.MethodPost, "/", c.body)
			r.Header.Set("Content-Type", c.contentType)
			w := httptest.NewRecorder()
			Body(w, r, limit, func(b []byte) { _, _ = w.Write(bytes.Clone(b)) })
			if w.Code != c.status || !strings.Contains(w.Body.String(), c.want) {
				t.Errorf("%d %s, want %d with %q", w.Code, w.Body, c.status, c.want)
			}
		})
	}
}

type errReader struct{}

func (errReader) Read([]byte) (int, error) { return 0, errors.New("connection reset") }

func TestRouterAnswersInSentences(t *testing.T) {
	r := Router(zerolog.Nop())
	r.Get("/there", func(http.ResponseWriter, *http.Request) {})
	r.Get("/broken", func(http.ResponseWriter, *http.Request) { panic("at the disco") })
	for _, c := range []struct {
		method, path string
		status       int
		want         string
	}{
		{"GET", "/there", 200, ""},
		{"GET", "/nowhere", 404, "there is nothing at /nowhere"},
		{"POST", "/there", 405, "use GET"},
		{"GET", "/broken", 500, "the log has the details"},
	} {
		w := httptest.NewRecorder()
		r.ServeHTTP(w, httptest.NewRequest(c.method, c.path, nil))
		var f Failure
		if c.status != 200 {
			if err := json.Unmarshal(w.Body.Bytes(), &f); err != nil {
				t.Errorf("%s %s: %v", c.method, c.path, err)
			}
		}
		if w.Code != c.status || !strings.Contains(f.Error, c.want) {
			t.Errorf("%s %s: %d %q, want %d with %q", c.method, c.path, w.Code, f.Error, c.status, c.want)
		}
	}
}

func TestProbe(t *testing.T) {
	w := httptest.NewRecorder()
	Probe(func() error { return errors.New("waiting for nodes") })(w, nil)
	if w.Code != http.StatusServiceUnavailable || w.Body.String() != "waiting for nodes\n" {
		t.Errorf("%d %q", w.Code, w.Body)
	}
	w = httptest.NewRecorder()
	Probe(func() error { return nil })(w, nil)
	if w.Code != http.StatusOK || w.Body.String() != "ok\n" {
		t.Errorf("%d %q", w.Code, w.Body)
	}
}
