package client_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"heteroaccel.io/connector/camera/cameratest"
	"heteroaccel.io/connector/camera/client"
	"heteroaccel.io/pkg/serve/servetest"
)

// held is a session that is held, and what was told of it.
type held struct {
	stop func() error

	mu   sync.Mutex
	told []client.Session
}

func (h *held) last() client.Session {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.told) == 0 {
		return client.Session{}
	}
	return h.told[len(h.told)-1]
}

func newClient(t *testing.T, url string) *client.Client {
	t.Helper()
	c, err := client.New(client.Config{URL: url + "/", Token: func() (string, error) { return cameratest.Token, nil }})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

var face = client.Request{Inference: cameratest.Inference}

func hold(t *testing.T, c *client.Client) *held {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	h := &held{}
	done := make(chan error, 1)
	go func() {
		done <- c.Hold(ctx, face, func(s client.Session) {
			h.mu.Lock()
			defer h.mu.Unlock()
			h.told = append(h.told, s)
		})
	}()
	h.stop = sync.OnceValue(func() error {
		cancel()
		return <-done
	})
	t.Cleanup(func() {
		if err := h.stop(); err != nil {
			t.Error(err)
		}
	})
	return h
}

// TestHold: a session waits, is served, moves, is renewed, and ends with its
// camera.
func TestHold(t *testing.T) {
	door := cameratest.NewConnector(t)
	h := hold(t, newClient(t, door.URL))
	servetest.Eventually(t, "it waits", func() bool { s := h.last(); return s.State == "waiting" && s.Position == 1 })
	id := h.last().ID
	for moves, address := range []string{"10.0.0.7:8080", "10.0.0.8:8080"} {
		door.Serve(address)
		servetest.Eventually(t, "it is at "+address, func() bool {
			s := h.last()
			return s.ID == id && s.URL == "http://"+address && s.Kind == "GPU" && s.Moves == moves
		})
	}
	servetest.Eventually(t, "it is renewed", func() bool { _, renewed, _ := door.Calls(); return renewed >= 2 })
	if err := h.stop(); err != nil {
		t.Error(err)
	}
	if created, _, ended := door.Calls(); created != 1 || ended != 1 || door.Sessions() != 0 {
		t.Errorf("%d created, %d ended, %d left", created, ended, door.Sessions())
	}
}

// TestEndedEarly: when the session ends under it, the camera asks for another.
func TestEndedEarly(t *testing.T) {
	door := cameratest.NewConnector(t)
	door.Serve("10.0.0.7:8080")
	h := hold(t, newClient(t, door.URL))
	servetest.Eventually(t, "it is served", func() bool { return h.last().Address != "" })
	first := h.last().ID
	door.End()
	servetest.Eventually(t, "it has another", func() bool { s := h.last(); return s.ID != "" && s.ID != first && s.Address != "" })
	h.mu.Lock()
	defer h.mu.Unlock()
	none := false
	for _, s := range h.told {
		none = none || s.ID == ""
	}
	if !none {
		t.Error("nobody was told of the end of the first")
	}
}

// TestConnectorRestarts: the stream is opened again, and the session is the same.
func TestConnectorRestarts(t *testing.T) {
	door := cameratest.NewConnector(t)
	door.Serve("10.0.0.7:8080")
	h := hold(t, newClient(t, door.URL))
	servetest.Eventually(t, "it is served", func() bool { return h.last().Address != "" })
	id := h.last().ID
	door.Stop()
	door.Serve("10.0.0.8:8080") // meanwhile
	door.Start(t)
	servetest.Eventually(t, "it hears of the move", func() bool { return h.last().Address == "10.0.0.8:8080" })
	if created, _, _ := door.Calls(); h.last().ID != id || created != 1 {
		t.Errorf("it has session %s of %d, want %s", h.last().ID, created, id)
	}
}

// TestBacksOff: what may succeed later is repeated, not before it was asked to.
func TestBacksOff(t *testing.T) {
	for name, tt := range map[string]struct {
		status     int
		retryAfter string
		least      time.Duration
	}{
		"too many requests": {http.StatusTooManyRequests, "1", time.Second},
		"not ready":         {http.StatusServiceUnavailable, "1", time.Second},
		"broken":            {http.StatusBadGateway, "", 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			door := cameratest.NewConnector(t)
			door.Serve("10.0.0.7:8080")
			door.Refuse(1, tt.status, tt.retryAfter)
			c := newClient(t, door.URL)
			var mu sync.Mutex
			var pauses []time.Duration
			c.Retrying = func(err error, pause time.Duration) {
				var p *client.Problem
				if !errors.As(err, &p) || p.Status != tt.status {
					t.Errorf("repeated because of %v", err)
				}
				mu.Lock()
				defer mu.Unlock()
				pauses = append(pauses, pause)
			}
			h := hold(t, c)
			servetest.Eventually(t, "it is served", func() bool { return h.last().Address != "" })
			mu.Lock()
			defer mu.Unlock()
			if len(pauses) != 1 || pauses[0] < tt.least {
				t.Errorf("paused %v, want once %s at least", pauses, tt.least)
			}
		})
	}
}

// TestRefused: what the connector refuses is not repeated, and says why.
func TestRefused(t *testing.T) {
	door := cameratest.NewConnector(t)
	for name, tt := range map[string]struct {
		ask   client.Request
		token string
		want  string
	}{
		"unknown":      {client.Request{Inference: "faces"}, cameratest.Token, `404: inference "faces" is unknown: known are face-recognition`},
		"no such kind": {client.Request{Inference: cameratest.Inference, Accelerator: "tpu"}, cameratest.Token, "choose among GPU"},
		"no token":     {face, "", "401"},
		"not valid":    {client.Request{Inference: cameratest.Inference, TTL: "soon"}, cameratest.Token, "body.ttl"},
	} {
		t.Run(name, func(t *testing.T) {
			c := newClient(t, door.URL)
			c.Token = func() (string, error) { return tt.token, nil }
			c.Retrying = func(err error, _ time.Duration) { t.Errorf("it is repeated: %v", err) }
			err := c.Hold(t.Context(), tt.ask, func(s client.Session) { t.Errorf("it has %+v", s) })
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want %q in it", err, tt.want)
			}
		})
	}
}

// TestStoppedBefore: a camera that is stopped while nobody answers just stops.
func TestStoppedBefore(t *testing.T) {
	door := cameratest.NewConnector(t)
	door.Stop()
	c := newClient(t, door.URL)
	ctx, cancel := context.WithCancel(t.Context())
	c.Retrying = func(error, time.Duration) { cancel() }
	if err := c.Hold(ctx, face, func(client.Session) {}); err != nil {
		t.Error(err)
	}
}

func TestNew(t *testing.T) {
	got := map[string]bool{}
	for _, url := range []string{"http://connector:8090", "https://[::1]/", "connector:8090", "ftp://x", "http://", ""} {
		_, err := client.New(client.Config{URL: url})
		got[url] = err == nil
	}
	want := map[string]bool{"http://connector:8090": true, "https://[::1]/": true, "connector:8090": false, "ftp://x": false, "http://": false, "": false}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("addresses of connectors (-want +got):\n%s", diff)
	}
}
