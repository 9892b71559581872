package main

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"
	"heteroaccel.io/pkg/serve"
)

// TestReadyMetricFollowsTheProbe: the probe and the metric never disagree.
func TestReadyMetricFollowsTheProbe(t *testing.T) {
	var g gate
	registry := prometheus.NewRegistry()
	registry.MustRegister(g.gauge())
	pages := serve.StatusPages("webhook", ":8080", ":8081", registry, g.check, zerolog.Nop())
	get := func(address, path string) *httptest.ResponseRecorder {
		w := httptest.NewRecorder()
		pages[address].ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
		return w
	}
	for _, step := range []struct {
		name  string
		check func() error
		code  int
		value string
	}{
		{"starting", nil, http.StatusServiceUnavailable, "0"},
		{"deciding", func() error { return nil }, http.StatusOK, "1"},
		{"standing by", func() error { return errors.New("another decides") }, http.StatusServiceUnavailable, "0"},
	} {
		if step.check != nil {
			g.set(step.check)
		}
		if code := get(":8081", "/readyz").Code; code != step.code {
			t.Errorf("%s: /readyz is %d, want %d", step.name, code, step.code)
		}
		if metrics := get(":8080", "/metrics").Body.String(); !strings.Contains(metrics, "\nheteroaccel_webhook_ready "+step.value+"\n") {
			t.Errorf("%s: the metric is not %s:\n%s", step.name, step.value, metrics)
		}
	}
}
