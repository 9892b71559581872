package server

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"

	"github.com/danielgtaylor/huma/v2"
	"github.com/go-chi/chi/v5"

	"heteroaccel.io/pkg/serve"
)

// index is for people with curl.
func index(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	_, _ = w.Write([]byte(`heteroaccel connector

  POST   /v1/sessions               ask for an inference: {"inference": "face-recognition"}
  GET    /v1/sessions               your sessions
  GET    /v1/sessions/{id}          one of them
  POST   /v1/sessions/{id}/renew    keep it for another ttl
  DELETE /v1/sessions/{id}          end it
  GET    /v1/sessions/{id}/events   watch it, as server-sent events
  GET    /openapi.json              all of this for programs
`))
}

// describe serves the document of the operations that are registered by now.
func describe(r chi.Router, doc *huma.OpenAPI) {
	text, err := doc.MarshalJSON()
	if err != nil {
		panic(err) // of types that are part of the program
	}
	r.Get("/openapi.json", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/openapi+json")
		_, _ = w.Write(text) // an error means that the client is gone
	})
}

// refuse answers what no operation is there for with a problem, as the
// operations do.
func refuse(r chi.Router) {
	r.NotFound(func(w http.ResponseWriter, r *http.Request) {
		problem(w, http.StatusNotFound, fmt.Sprintf("there is nothing at %s: GET / lists what there is", r.URL.Path))
	})
	r.MethodNotAllowed(func(w http.ResponseWriter, req *http.Request) {
		list := strings.Join(serve.Allowed(r, req.URL.Path), ", ")
		w.Header().Set("Allow", list)
		problem(w, http.StatusMethodNotAllowed, fmt.Sprintf("%s is not possible at %s: use %s", req.Method, req.URL.Path, list))
	})
}

// sayFirst says in the sentence of a problem what is wrong first: of a request
// that is not as described it would say no more than that.
func sayFirst(_ huma.Context, _ string, body any) (any, error) {
	p, ok := body.(*huma.ErrorModel)
	if !ok || len(p.Errors) == 0 {
		return body, nil
	}
	said := *p
	said.Detail = fmt.Sprintf("%s: %s", p.Errors[0].Location, p.Errors[0].Message)
	return &said, nil
}

func problem(w http.ResponseWriter, status int, detail string) {
	body, err := json.Marshal(huma.ErrorModel{Title: http.StatusText(status), Status: status, Detail: detail})
	if err != nil {
		panic(err) // of strings and a number
	}
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(status)
	_, _ = w.Write(body) // an error means that the client is gone
}
