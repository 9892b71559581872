package pages

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/portforward"
	"k8s.io/streaming/pkg/httpstream"
	"k8s.io/streaming/pkg/httpstream/spdy"
)

// extender serves pages as the extender does.
func extender(t *testing.T) *httptest.Server {
	t.Helper()
	answers := map[string]string{
		"/":               `{"endpoints":[],"bypassed":[{"resource":"x/y","message":"add x/y"}]}`,
		"/nodes":          `{"nodes":[{"name":"g","cordoned":true,"taints":["a=b:NoSchedule"],"telemetry":{"ageSeconds":1.5,"fresh":true},"resources":[{"resource":"x/y","usable":2}],"devices":[{"kind":"GPU","id":"0","resource":"x/y","healthy":false}]}]}`,
		"/pods":           `{"pods":[{"namespace":"default","name":"a"},{"namespace":"default","name":"b"},{"namespace":"default","name":"c"}]}`,
		"/pods/default/a": `{"asked":"yes","askedMessage":"asked 90s ago","node":"g","filter":{"ageSeconds":90}}`,
		"/pods/default/b": `{"asked":"yes","askedMessage":"asked 9s ago","node":"g","filter":{"ageSeconds":9}}`,
		"/pods/default/c": `{"asked":"no","askedMessage":"never asked"}`,
	}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch a, ok := answers[r.URL.Path]; {
		case r.Header.Get("Accept") != "application/json":
			http.Error(w, "text", http.StatusNotAcceptable)
		case r.URL.Path == "/pods/default/denied":
			http.Error(w, "you may not", http.StatusForbidden)
		case !ok:
			http.NotFound(w, r)
		default:
			_, _ = io.WriteString(w, a)
		}
	}))
	t.Cleanup(s.Close)
	return s
}

func TestPages(t *testing.T) { read(t, At(extender(t).URL)) }

// read reads everything of an extender.
func read(t *testing.T, c *Client) {
	t.Helper()
	r, err := c.Replica(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if n := r.Nodes[0]; len(r.Bypassed) != 1 || n.Name != "g" || !n.Cordoned || len(n.Taints) != 1 || !n.Telemetry.Fresh || n.Resources[0].Usable != 2 || *n.Devices[0].Healthy {
		t.Errorf("%+v", r)
	}
	if a, err := c.Asked(t.Context(), "default", "a"); err != nil || a.Asked != "yes" || a.Node != "g" || a.Filter.AgeSeconds != 90 {
		t.Errorf("%+v, %v", a, err)
	}
	if a, err := c.Asked(t.Context(), "default", "unknown"); err != nil || a.Asked != "" {
		t.Errorf("of an unknown pod %+v, %v", a, err)
	}
	if _, err := c.Asked(t.Context(), "default", "denied"); err == nil || !strings.Contains(err.Error(), "you may not") {
		t.Errorf("of a page that is denied %v", err)
	}
	if ago, pod, err := c.LastQuestion(t.Context()); err != nil || ago != 9*time.Second || pod != "default/b" {
		t.Errorf("the last question was %s ago, about %s, %v", ago, pod, err)
	}
}

// TestForward: the pages are read through the API server, by the protocol that
// kubectl port-forward speaks, until the context ends.
func TestForward(t *testing.T) {
	behind, err := url.Parse(extender(t).URL)
	if err != nil {
		t.Fatal(err)
	}
	api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		const path = "/api/v1/namespaces/heteroaccel-system/pods/extender-1/portforward"
		if r.URL.Path != path || r.Header.Get("Authorization") != "Bearer mine" {
			http.Error(w, `{"kind":"Status","apiVersion":"v1","status":"Failure","message":"it is forbidden","reason":"Forbidden","code":403}`, http.StatusForbidden)
			return
		}
		forward(w, r, behind.Host)
	}))
	defer api.Close()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	c, err := Forward(ctx, &rest.Config{Host: api.URL, BearerToken: "mine"}, "heteroaccel-system", "extender-1", 8889)
	if err != nil {
		t.Fatal(err)
	}
	read(t, c)
	if c.Name != "extender-1" {
		t.Errorf("it is called %s", c.Name)
	}
	cancel()
	for {
		conn, err := net.Dial("tcp", strings.TrimPrefix(c.URL, "http://"))
		if err != nil {
			break // nobody listens any more
		}
		_ = conn.Close()
		if t.Context().Err() != nil {
			t.Fatal("the port is forwarded still")
		}
	}
	if _, err := Forward(t.Context(), &rest.Config{Host: api.URL, BearerToken: "another"}, "heteroaccel-system", "extender-1", 8889); err == nil || !strings.Contains(err.Error(), "forbidden") {
		t.Errorf("without the right: %v", err)
	}
}

// forward is the API server's and the kubelet's side: each pair of streams is one
// connection to the port.
func forward(w http.ResponseWriter, r *http.Request, host string) {
	if _, err := httpstream.Handshake(r, w, []string{portforward.PortForwardProtocolV1Name}); err != nil {
		return
	}
	streams := make(chan httpstream.Stream, 8)
	conn := spdy.NewResponseUpgrader().UpgradeResponse(w, r, func(s httpstream.Stream, _ <-chan struct{}) error {
		if s.Headers().Get(corev1.PortHeader) != "8889" {
			return errors.New("another port")
		}
		streams <- s
		return nil
	})
	if conn == nil {
		return
	}
	defer conn.Close()
	for {
		select {
		case <-conn.CloseChan():
			return
		case s := <-streams:
			if s.Headers().Get(corev1.StreamType) == corev1.StreamTypeError {
				_ = s.Close()
				continue
			}
			go func() {
				defer s.Close()
				to, err := net.Dial("tcp", host)
				if err != nil {
					return
				}
				defer to.Close()
				go func() { _, _ = io.Copy(to, s) }()
				_, _ = io.Copy(s, to)
			}()
		}
	}
}
