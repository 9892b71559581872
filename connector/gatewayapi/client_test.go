package gatewayapi

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"k8s.io/client-go/rest"
)

// resources is an API server's list of the resources of the Gateway API.
func resources(kinds ...string) string {
	var list []string
	for _, kind := range kinds {
		list = append(list, fmt.Sprintf(`{"name":%q,"kind":%q,"namespaced":true,"verbs":["list"]}`, strings.ToLower(kind)+"s", kind))
	}
	return `{"kind":"APIResourceList","apiVersion":"v1","groupVersion":"gateway.networking.k8s.io/v1","resources":[` + strings.Join(list, ",") + `]}`
}

const notFound = `{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"NotFound","code":404}`

func TestInstalled(t *testing.T) {
	type answer struct {
		status int
		body   string
	}
	tests := map[string]struct {
		answers []answer
		want    string
	}{
		"installed":        {answers: []answer{{200, resources("Gateway", "HTTPRoute")}}},
		"no Gateway API":   {answers: []answer{{404, notFound}}, want: "this cluster has no Gateway API"},
		"no HTTPRoutes":    {answers: []answer{{200, resources("Gateway")}}, want: "this cluster has no Gateway API"},
		"starting":         {answers: []answer{{503, ""}, {200, resources("Gateway", "HTTPRoute")}}},
		"starting without": {answers: []answer{{503, ""}, {404, notFound}}, want: "this cluster has no Gateway API"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var asked atomic.Int32
			s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path != "/apis/gateway.networking.k8s.io/v1" {
					t.Errorf("asked for %s", r.URL.Path)
				}
				a := tt.answers[min(int(asked.Add(1)), len(tt.answers))-1]
				w.Header().Set("Content-Type", "application/json")
				w.WriteHeader(a.status)
				_, _ = w.Write([]byte(a.body)) // it fails only when the client has gone
			}))
			defer s.Close()
			c, err := New(&rest.Config{Host: s.URL})
			if err != nil {
				t.Fatal(err)
			}
			err = c.Installed(t.Context())
			if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
				t.Errorf("%v, want %q", err, tt.want)
			}
		})
	}
}

// TestNobodyAnswers: it asks until it is told to stop, and that is no error.
func TestNobodyAnswers(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusServiceUnavailable)
		cancel()
	}))
	defer s.Close()
	c, err := New(&rest.Config{Host: s.URL})
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Installed(ctx); err != nil {
		t.Error(err)
	}
}
