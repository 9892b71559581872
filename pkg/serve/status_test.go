package serve

import (
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"
)

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
			pages := StatusPages("webhook", tt.metrics, tt.health,
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
