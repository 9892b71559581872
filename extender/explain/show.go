package explain

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/go-chi/chi/v5"

	"heteroaccel.io/pkg/serve"
)

// view is what a page shows: its exported fields as JSON, or text for a
// terminal.
type view interface {
	text(*page)
}

// missing is the error, a sentence, of a name that does not exist.
type missing string

func (m missing) Error() string { return string(m) }

// forbidden is the error, a sentence, of a page that somebody may not see.
type forbidden string

func (f forbidden) Error() string { return string(f) }

// invalid is the error, a sentence, of a request that asks for something that there
// cannot be.
type invalid string

func (i invalid) Error() string { return string(i) }

// show serves what find returns, in the format that is asked for, and what it leaves
// out for that somebody may not see it.
func (s *Pages) show(find func(*http.Request, *viewer) (view, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		asJSON, err := wantsJSON(r)
		if err != nil {
			serve.Error(w, http.StatusBadRequest, "%s", err)
			return
		}
		who := s.viewer(r)
		v, err := find(r, who)
		omission := who.omission()
		if o, ok := v.(interface{ omitting(string) }); ok && err == nil {
			o.omitting(omission)
		}
		switch {
		case who.err != nil:
			fail(w, r, http.StatusServiceUnavailable, "what you may see is unknown, since the API server did not say: try again in a moment, the extender's log says why", nil)
		case errors.As(err, new(forbidden)):
			fail(w, r, http.StatusForbidden, err.Error(), nil)
		case errors.As(err, new(invalid)):
			fail(w, r, http.StatusBadRequest, err.Error(), nil)
		case errors.As(err, new(missing)):
			fail(w, r, http.StatusNotFound, err.Error(), nil)
		case err != nil:
			fail(w, r, http.StatusInternalServerError, err.Error(), nil)
		case asJSON:
			serve.JSON(w, http.StatusOK, v)
		default:
			var p page
			v.text(&p)
			if omission != "" {
				p.line("")
				p.field(0, "NOT SHOWN", omission)
			}
			sendText(w, http.StatusOK, p.String())
		}
	}
}

// wantsJSON reads ?format, or else the Accept header; text is the default.
func wantsJSON(r *http.Request) (bool, error) {
	switch f := r.URL.Query().Get("format"); f {
	case "json":
		return true, nil
	case "text":
		return false, nil
	case "":
		return strings.Contains(r.Header.Get("Accept"), "application/json"), nil
	default:
		return false, fmt.Errorf("unknown format %q: use json or text", f)
	}
}

// fail answers with a sentence, and with the endpoints if more is not nil.
func fail(w http.ResponseWriter, r *http.Request, status int, sentence string, more *index) {
	asJSON, err := wantsJSON(r)
	if asJSON || err != nil || r.Method != http.MethodGet && r.Method != http.MethodHead {
		body := failure{Error: sentence}
		if more != nil {
			body.Endpoints = more.Endpoints
		}
		serve.JSON(w, status, body)
		return
	}
	var p page
	p.line(sentence)
	if more != nil {
		p.line("")
		more.text(&p)
	}
	sendText(w, status, p.String())
}

// failure is the JSON of every answer that is not a success.
type failure struct {
	// Error is one sentence that says what to do.
	Error string `json:"error"`
	// Endpoints are all endpoints, for a path that does not exist.
	Endpoints []Endpoint `json:"endpoints,omitempty"`
}

func sendText(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	_, _ = w.Write([]byte(text)) // the client is gone: nobody is left to tell
}

// param is a name from the path, as it was before it was escaped.
func param(r *http.Request, key string) string {
	raw := chi.URLParam(r, key)
	if name, err := url.PathUnescape(raw); err == nil {
		return name
	}
	return raw
}
