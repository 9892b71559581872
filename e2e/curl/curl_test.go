package curl

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestRun(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body) // what is missing shows
		if r.URL.Path == "/none" {
			w.WriteHeader(http.StatusNotFound)
		}
		fmt.Fprintf(w, "%s %s %s %s %s", r.Method, r.URL.Path, r.Header.Get("Content-Type"), r.Header.Get("Prefer"), body)
	}))
	defer s.Close()
	for name, tt := range map[string]struct{ command, want, wrong string }{
		"a page":      {`curl $AT/nodes`, "GET /nodes   ", ""},
		"in quotes":   {`curl -s "$AT/nodes"`, "GET /nodes   ", ""},
		"a request":   {"curl -s -X POST $AT/v1 -H 'Content-Type: application/json' \\\n  -H 'Prefer: wait=30' -d '{\"a\": 1}'", `POST /v1 application/json wait=30 {"a": 1}`, ""},
		"data alone":  {`curl -d x $AT/`, "POST / application/x-www-form-urlencoded  x", ""},
		"deleted":     {`curl -X DELETE $AT/v1/x`, "DELETE /v1/x   ", ""},
		"not found":   {`curl $AT/none`, "", "404 Not Found: GET /none"},
		"unset":       {`curl $NOWHERE/`, "", "$NOWHERE is not set"},
		"other flags": {`curl --insecure $AT/`, "", "unknown flag"},
		"not curl":    {`wget $AT/`, "", "not curl"},
		"no URL":      {`curl -s`, "", "0 URLs"},
		"no header":   {`curl -H x $AT/`, "", "no colon"},
		"open quote":  {`curl '$AT`, "", "read the command"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := Run(t.Context(), tt.command, func(name string) string {
				return map[string]string{"AT": s.URL}[name]
			})
			if tt.wrong == "" && (err != nil || got != tt.want) {
				t.Errorf("%q, %v, want %q", got, err, tt.want)
			}
			if tt.wrong != "" && (err == nil || !strings.Contains(err.Error(), tt.wrong)) {
				t.Errorf("error %v, want %q in it", err, tt.wrong)
			}
		})
	}
}
