package healthcheck

import (
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestAsk(t *testing.T) {
	pages := http.NewServeMux()
	pages.HandleFunc("/readyz", func(http.ResponseWriter, *http.Request) {})
	pages.HandleFunc("/starting", func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, "pods are not listed yet\nno telemetry", http.StatusServiceUnavailable)
	})
	pages.HandleFunc("/moved", func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "/readyz", http.StatusFound)
	})
	pages.HandleFunc("/slow", func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	pages.HandleFunc("/long", func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, strings.Repeat("x", 1<<20), http.StatusInternalServerError)
	})
	plain, secure := httptest.NewServer(pages), httptest.NewTLSServer(pages)
	t.Cleanup(plain.Close)
	t.Cleanup(secure.Close)
	gone := httptest.NewServer(pages)
	gone.Close()
	ca, empty := filepath.Join(t.TempDir(), "ca.crt"), filepath.Join(t.TempDir(), "empty.crt")
	for path, data := range map[string][]byte{
		ca: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: secure.Certificate().Raw}), empty: nil,
	} {
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	// A proxy of the environment is not asked.
	t.Setenv("HTTP_PROXY", gone.URL)
	for name, tt := range map[string]struct {
		target Target
		want   string // of a healthy one
		err    string // part of it
	}{
		"ready":            {Target{URL: plain.URL + "/readyz"}, "healthy: " + plain.URL + "/readyz answered 200 OK", ""},
		"starting":         {Target{URL: plain.URL + "/starting"}, "", "/starting answered 503 Service Unavailable: pods are not listed yet no telemetry"},
		"no such page":     {Target{URL: plain.URL + "/health"}, "", "/health answered 404 Not Found"},
		"redirected":       {Target{URL: plain.URL + "/moved"}, "", "answered 302 Found"},
		"nobody listens":   {Target{URL: gone.URL + "/readyz"}, "", "not healthy: no answer: "},
		"too slow":         {Target{URL: plain.URL + "/slow", Timeout: 50 * time.Millisecond}, "", "not healthy: no answer: "},
		"HTTPS":            {Target{URL: secure.URL + "/readyz", CAFile: ca}, "healthy: " + secure.URL + "/readyz answered 200 OK", ""},
		"not trusted":      {Target{URL: secure.URL + "/readyz"}, "", "certificate signed by unknown authority"},
		"no CA":            {Target{URL: secure.URL + "/readyz", CAFile: ca + ".old"}, "", "unknown: read the CA of the server: "},
		"no certificate":   {Target{URL: secure.URL + "/readyz", CAFile: empty}, "", "empty.crt has no certificate"},
		"a very long page": {Target{URL: plain.URL + "/long"}, "", "answered 500 Internal Server Error: " + strings.Repeat("x", longestAnswer)},
	} {
		t.Run(name, func(t *testing.T) {
			if tt.target.Timeout == 0 {
				tt.target.Timeout = time.Minute
			}
			if err := tt.target.Check(); err != nil {
				t.Fatal(err)
			}
			got, err := Ask(t.Context(), tt.target)
			if got != tt.want {
				t.Errorf("it says %q, want %q", got, tt.want)
			}
			if (err != nil) != (tt.err != "") || err != nil && !strings.Contains(err.Error(), tt.err) {
				t.Errorf("error %v, want %q", err, tt.err)
			}
			if err != nil && (strings.Contains(err.Error(), "\n") || len(err.Error()) > longestAnswer+200) {
				t.Errorf("it is more than a sentence: %d bytes", len(err.Error()))
			}
		})
	}
}

func TestCheck(t *testing.T) {
	for url, ok := range map[string]bool{
		"http://127.0.0.1:8081/readyz": true, "https://localhost:6443/readyz": true,
		"": false, "127.0.0.1:8081": false, "/readyz": false, "ftp://localhost/readyz": false, "http://": false,
	} {
		if err := (Target{URL: url, Timeout: time.Second}).Check(); (err == nil) != ok {
			t.Errorf("%q: %v", url, err)
		}
	}
	if (Target{URL: "http://localhost"}).Check() == nil {
		t.Error("no time at all is accepted")
	}
}

func TestLocal(t *testing.T) {
	for address, want := range map[string]string{
		":8081": "http://127.0.0.1:8081/readyz", "0.0.0.0:8081": "http://127.0.0.1:8081/readyz",
		"[::]:8081": "http://[::1]:8081/readyz", "[fe80::2]:1": "http://[fe80::2]:1/readyz",
		"127.0.0.2:80": "http://127.0.0.2:80/readyz", "localhost:80": "http://localhost:80/readyz",
		"8081": "", "": "", "host:": "",
	} {
		got, err := Local(address, "/readyz")
		if got != want || (err == nil) != (want != "") {
			t.Errorf("%q: %q, %v, want %q", address, got, err, want)
		}
	}
}
