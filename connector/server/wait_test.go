package server

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"time"
)

// TestWaitOutlastsWriteTimeout: who waits for longer than the HTTP server writes
// otherwise is answered all the same.
func TestWaitOutlastsWriteTimeout(t *testing.T) {
	var c Config
	door(t, func(in *Config) { c = *in })
	s := httptest.NewUnstartedServer(New(c))
	s.Config.WriteTimeout = 100 * time.Millisecond
	s.Start()
	defer s.Close()
	if a := ask(t, s, http.MethodPost, "/v1/sessions", "camera", `{"inference":"face-recognition"}`, "Prefer", "wait=1"); a.StatusCode != http.StatusAccepted || a.session.State != stateWaiting {
		t.Errorf("%d %s", a.StatusCode, a.text)
	}
}
