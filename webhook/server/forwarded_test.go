package server

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"heteroaccel.io/webhook/forward"
)

// anyPeer takes everybody for a replica, and nobody for the API server.
func anyPeer(c *Config) {
	c.Peers = func(next http.Handler) http.Handler { return next }
	c.Clients = func(http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusUnauthorized) })
	}
}

// forwarded sends a review as another replica does.
func (r *rig) forwarded(t *testing.T, body []byte, header map[string]string) (*http.Response, string) {
	t.Helper()
	q, err := http.NewRequestWithContext(t.Context(), http.MethodPost, r.url+forward.Path, strings.NewReader(string(body)))
	if err != nil {
		t.Fatal(err)
	}
	q.Header.Set("Content-Type", "application/json")
	for k, v := range header {
		q.Header.Set(k, v)
	}
	resp, err := http.DefaultClient.Do(q)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	got, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, string(got)
}

// TestForwarded: what another replica forwards is decided in a term, for whom it names,
// and at no other time.
func TestForwarded(t *testing.T) {
	for name, c := range map[string]struct {
		authenticated bool
		header        map[string]string
		want          int
		connection    string
	}{
		"anybody's":                    {false, map[string]string{"Heteroaccel-Connection": "p 10.0.0.9:1 #7"}, http.StatusOK, "p 10.0.0.9:1 #7"},
		"authenticated there":          {true, map[string]string{"Heteroaccel-Authenticated": "yes"}, http.StatusOK, ""},
		"authenticated here alone":     {true, nil, http.StatusUnauthorized, ""},
		"authenticated there alone":    {false, map[string]string{"Heteroaccel-Connection": "p c", "Heteroaccel-Authenticated": "yes"}, http.StatusOK, "p c"},
		"authenticated, so it is said": {true, map[string]string{"Heteroaccel-Authenticated": "true"}, http.StatusUnauthorized, ""},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, anyPeer, func(c2 *Config) { c2.Authenticated = c.authenticated }).paper()
			p := pod("p", "face-recognition", "any")
			resp, got := r.forwarded(t, reviewOf(t, p), c.header)
			if resp.StatusCode != c.want {
				t.Fatalf("%d: %s", resp.StatusCode, got)
			}
			if status, _ := r.post(t, reviewOf(t, p)); status != http.StatusUnauthorized {
				t.Errorf("%d for somebody who is not the API server", status)
			}
			if c.want != http.StatusOK {
				return
			}
			if _, _, err := patched(p, resp.StatusCode, got); err != nil {
				t.Error(err)
			}
			q := httptest.NewRequest(http.MethodPost, forward.Path, nil)
			for k, v := range c.header {
				q.Header.Set(k, v)
			}
			forward.Accept(r.srv.Peers, http.HandlerFunc(func(_ http.ResponseWriter, q *http.Request) {
				if by, err := r.srv.callerOf(q); err != nil || by.Connection != c.connection {
					t.Errorf("the caller is %+v, %v", by, err)
				}
			})).ServeHTTP(httptest.NewRecorder(), q)
		})
	}
	r := newRig(t, anyPeer, func(c *Config) {
		c.Elsewhere = func(http.ResponseWriter, *http.Request, []byte, func() <-chan struct{}) {
			t.Error("a review that was forwarded is forwarded again")
		}
	}).paper()
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	r.srv.Begin(ended)
	if resp, got := r.forwarded(t, reviewOf(t, pod("p", "face-recognition", "any")), nil); resp.StatusCode != http.StatusServiceUnavailable || !strings.Contains(got, "standing by") {
		t.Errorf("after the term: %d %s", resp.StatusCode, got)
	}
}

// TestHeldUntilItLeads: what is answered elsewhere is decided here once a term begins,
// from the review as it came.
func TestHeldUntilItLeads(t *testing.T) {
	held := make(chan struct{}, 1)
	r := newRig(t, func(c *Config) {
		c.Elsewhere = func(w http.ResponseWriter, _ *http.Request, body []byte, decide func() <-chan struct{}) {
			if !strings.Contains(string(body), "AdmissionReview") {
				t.Errorf("the body is %s", body)
			}
			for begun := decide(); begun != nil; begun = decide() {
				held <- struct{}{}
				<-begun
			}
		}
	}).paper()
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	end := r.srv.Begin(ended)
	if status, got := r.post(t, []byte("{}")); status != http.StatusBadRequest {
		t.Errorf("a malformed review: %d %s", status, got)
	}
	p := pod("p", "face-recognition", "any")
	answered := make(chan error, 1)
	go func() {
		_, _, err := r.admitted(p, reviewOf(t, p))
		answered <- err
	}()
	<-held
	select {
	case err := <-answered:
		t.Errorf("it was answered at once: %v", err)
	default:
	}
	end()
	r.srv.Begin(t.Context())
	if err := <-answered; err != nil {
		t.Error(err)
	}
}

// TestLeaderDecides: a review that can be decided here is held or forwarded nowhere, and so
// counted as neither.
func TestLeaderDecides(t *testing.T) {
	r := newRig(t, func(c *Config) {
		c.Elsewhere = func(http.ResponseWriter, *http.Request, []byte, func() <-chan struct{}) {
			t.Error("the replica that leads has it answered elsewhere")
		}
	}).paper()
	p := pod("p", "face-recognition", "any")
	if _, _, err := r.admitted(p, reviewOf(t, p)); err != nil {
		t.Error(err)
	}
}

// TestDecidedTwice: a review whose answer was lost is decided again, by the same leader
// or the next; the pod that comes takes one reservation, and nothing else is left of the
// first decision once its leader's term is over, or its time.
func TestDecidedTwice(t *testing.T) {
	r := newRig(t).paper()
	p := pod("p", "face-recognition", "any")
	for range 2 {
		if _, _, err := r.admitted(p, reviewOf(t, p)); err != nil {
			t.Fatal(err)
		}
	}
	out, _ := r.admit(t, p)
	r.arrives(out, "g")
	*r.now = r.now.Add(31e9)
	if n := r.inv.Reservations(); n != 0 {
		t.Errorf("%d reservations are left", n)
	}
	next := newRig(t).paper() // another process
	if _, _, err := next.admitted(p, reviewOf(t, p)); err != nil {
		t.Fatal(err)
	}
	if n := next.inv.Reservations(); n != 1 {
		t.Errorf("the next leader has %d reservations, want that of its own decision", n)
	}
	next.inv.ReleaseAll()
	if n := next.inv.Reservations(); n != 0 {
		t.Errorf("%d reservations outlive the term", n)
	}
}
