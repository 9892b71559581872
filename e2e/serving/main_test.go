package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"heteroaccel.io/e2e/cluster"
	"heteroaccel.io/e2e/poll"
	"heteroaccel.io/e2e/serving/load"
)

// TestServer: it answers with who it is, and is ready but where it is told not to be.
func TestServer(t *testing.T) {
	for unreadyOn, want := range map[string]int{"": http.StatusOK, "NPU": http.StatusOK, "GPU": http.StatusServiceUnavailable} {
		h := server(load.Answer{Pod: "a", Device: "GPU"}, unreadyOn)
		for path, code := range map[string]int{"/": http.StatusOK, "/ready": want, "/metrics": http.StatusOK, "/other": http.StatusNotFound} {
			w := httptest.NewRecorder()
			h.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, nil))
			if w.Code != code {
				t.Errorf("unready on %q: %s is %d, want %d", unreadyOn, path, w.Code, code)
			}
			if got := strings.TrimSpace(w.Body.String()); path == "/" && got != `{"pod":"a","device":"GPU"}` {
				t.Errorf("the answer is %s", got)
			}
		}
	}
}

// TestRun: a load asks a server until both are told to end.
func TestRun(t *testing.T) {
	addresses := make([]string, 2)
	for i := range addresses {
		port, err := cluster.FreePort()
		if err != nil {
			t.Fatal(err)
		}
		addresses[i] = fmt.Sprintf("127.0.0.1:%d", port)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 2)
	for _, args := range [][]string{
		{"server", "-d", "GPU", "--listen=" + addresses[0]},
		{"load", "--listen=" + addresses[1], "--url=http://" + addresses[0], "--every=1ms"},
	} {
		go func() { ended <- run(ctx, args, io.Discard) }()
	}
	err := poll.Within(t.Context(), 30*time.Second, func(ctx context.Context) error {
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+addresses[1], nil)
		if err != nil {
			return err
		}
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		said, err := io.ReadAll(resp.Body)
		if err == nil && (resp.StatusCode != http.StatusOK || !strings.Contains(string(said), `"GPU"`)) {
			err = fmt.Errorf("the report is %s: %s", resp.Status, said)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
	cancel()
	for range addresses {
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}
	for _, args := range [][]string{nil, {"both"}, {"server", "load"}, {"--unknown"}} {
		if err := run(t.Context(), args, io.Discard); err == nil {
			t.Errorf("%q is accepted", args)
		}
	}
}
