package pages

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"k8s.io/client-go/rest"

	"heteroaccel.io/cli/pages/pagestest"
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
	api := pagestest.New(t)
	api.Extenders["extender-1"] = strings.TrimPrefix(extender(t).URL, "http://")
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	found, err := Find(ctx, Where{REST: &rest.Config{Host: api.URL}, Namespace: pagestest.Namespace})
	if err != nil || found.Len() != 1 {
		t.Fatalf("%+v, %v", found, err)
	}
	c, err := found.Client(ctx, 0)
	if err != nil {
		t.Fatal(err)
	}
	read(t, c)
	if again, err := found.Client(ctx, 0); again != c || c.Name != "extender-1" {
		t.Errorf("a port is forwarded to %s, and then to another, %v", c.Name, err)
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
	if _, err := Forward(t.Context(), &rest.Config{Host: api.URL}, pagestest.Namespace, "extender-2", 8889); err == nil {
		t.Error("a port of a pod that there is not is forwarded")
	}
}
