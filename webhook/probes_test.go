package main

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"
)

// TestReadyMetricFollowsTheProbe: the probe and the metric never disagree.
func TestReadyMetricFollowsTheProbe(t *testing.T) {
	var g gate
	registry := prometheus.NewRegistry()
	registry.MustRegister(g.gauge())
	pages := statusPages(flags{metricsBindAddress: ":8080", healthBindAddress: ":8081"}, registry, g.check, zerolog.Nop())
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

// TestOneAddress: health and metrics can share an address, and are nowhere else
// when they do not.
func TestOneAddress(t *testing.T) {
	for name, tt := range map[string]struct {
		metrics, health string
		want            map[string][]string // what answers, by address
	}{
		"two": {":8080", ":8081", map[string][]string{":8080": {"/metrics"}, ":8081": {"/healthz", "/readyz"}}},
		"one": {":8080", ":8080", map[string][]string{":8080": {"/metrics", "/healthz", "/readyz"}}},
	} {
		t.Run(name, func(t *testing.T) {
			pages := statusPages(flags{metricsBindAddress: tt.metrics, healthBindAddress: tt.health},
				prometheus.NewRegistry(), func() error { return nil }, zerolog.Nop())
			if len(pages) != len(tt.want) {
				t.Fatalf("%d addresses, want %d", len(pages), len(tt.want))
			}
			for address, want := range tt.want {
				for _, path := range []string{"/metrics", "/healthz", "/readyz"} {
					w := httptest.NewRecorder()
					pages[address].ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
					if served := w.Code == http.StatusOK; served != slices.Contains(want, path) {
						t.Errorf("%s%s is %d", address, path, w.Code)
					}
				}
			}
		})
	}
}
