package program

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/spf13/pflag"
)

// TestHealthcheck asks real servers, at the address that a program's flag has.
func TestHealthcheck(t *testing.T) {
	pages := http.NewServeMux()
	pages.HandleFunc("/healthz", func(http.ResponseWriter, *http.Request) {})
	pages.HandleFunc("/readyz", func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, "no telemetry yet", http.StatusServiceUnavailable)
	})
	starting := httptest.NewServer(pages)
	t.Cleanup(starting.Close)
	ready := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	t.Cleanup(ready.Close)
	at := func(s *httptest.Server) string { return strings.TrimPrefix(s.URL, "http://") }
	for name, tt := range map[string]struct {
		args           []string
		code           int
		stdout, stderr string // parts of them
	}{
		"ready":          {nil, ExitOK, "healthy: " + ready.URL + "/readyz answered 200 OK\n", ""},
		"elsewhere":      {[]string{"--address=" + at(starting)}, ExitFailed, "", "not healthy: " + starting.URL + "/readyz answered 503 Service Unavailable: no telemetry yet\n"},
		"alive":          {[]string{"--address=" + at(starting), "--path=/healthz"}, ExitOK, "healthy: ", ""},
		"help":           {[]string{"--help"}, ExitOK, "Usage: tool healthcheck [flags]\n\n      --address string", ""},
		"no address":     {[]string{"--address=8081"}, ExitUsage, "", `tool healthcheck: --address: "8081" is no address`},
		"no time":        {[]string{"--timeout=0s"}, ExitUsage, "", "tool healthcheck: --timeout must be longer than 0\n"},
		"no flag":        {[]string{"--size=1"}, ExitUsage, "", "unknown flag: --size: see --help"},
		"an argument":    {[]string{"now"}, ExitUsage, "", `unknown argument "now"`},
		"runs not then":  {[]string{"--version"}, ExitUsage, "", "unknown flag: --version"},
		"address of two": {[]string{"--address=" + at(starting), "--address=" + at(ready)}, ExitOK, "healthy: ", ""},
	} {
		t.Run(name, func(t *testing.T) {
			p := Program{
				Name: "tool", About: "Tool measures.", Health: "address",
				Flags: func(fs *pflag.FlagSet) { fs.String("address", at(ready), "address of the pages") },
			}
			var stdout, stderr bytes.Buffer
			if code := p.run(t.Context(), append([]string{"healthcheck"}, tt.args...), &stdout, &stderr); code != tt.code {
				t.Errorf("exit code %d, want %d", code, tt.code)
			}
			for _, out := range []struct{ got, want string }{{stdout.String(), tt.stdout}, {stderr.String(), tt.stderr}} {
				if !strings.Contains(out.got, out.want) || out.want == "" && out.got != "" {
					t.Errorf("it printed\n%s\nwant %q in it", out.got, out.want)
				}
			}
		})
	}
}

// TestNoHealthcheck: a program that serves no such page has no such command.
func TestNoHealthcheck(t *testing.T) {
	p := Program{Name: "tool", Flags: func(*pflag.FlagSet) {}, Check: func() error { return nil }}
	var stdout, stderr bytes.Buffer
	if code := p.run(t.Context(), []string{"healthcheck"}, &stdout, &stderr); code != ExitUsage || !strings.Contains(stderr.String(), `unknown argument "healthcheck"`) {
		t.Errorf("exit code %d: %s", code, stderr.String())
	}
}
