package cameratest

import (
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"heteroaccel.io/connector/identity"
	"heteroaccel.io/connector/server"
	"heteroaccel.io/connector/server/servertest"
	"heteroaccel.io/pkg/profile"
	"heteroaccel.io/pkg/profile/v1alpha1"
)

// Inference is the one that the connector knows.
const Inference = "face-recognition"

// Token is that of the one client that it knows.
const Token = "secret"

// Connector is the connector's API over sessions in memory.
type Connector struct {
	URL  string
	kept *servertest.Sessions

	mu      sync.Mutex
	running *httptest.Server
	refuse  int // how many requests are still refused
	refusal http.HandlerFunc
}

// NewConnector runs one for a test.
func NewConnector(t *testing.T) *Connector {
	t.Helper()
	store := profile.NewStore()
	err := store.Put(&v1alpha1.InferenceProfile{
		ObjectMeta: metav1.ObjectMeta{Name: Inference},
		Spec: v1alpha1.InferenceProfileSpec{
			Variants: []v1alpha1.Variant{{Accelerator: "GPU", Image: "x", Limits: corev1.ResourceList{"gpu.intel.com/i915": resource.MustParse("1")}}},
			Template: &runtime.RawExtension{Raw: []byte(`{"spec":{"containers":[{"name":"inference","image":"x","ports":[{"containerPort":8080}]}]}}`)},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	c := &Connector{kept: servertest.New()}
	api := server.New(server.Config{
		Sessions: c.kept, Profiles: store, Client: byToken, Allowed: func(*profile.Profile) error { return nil }, Ready: func() error { return nil }, Version: "test", Log: zerolog.Nop(),
		Limits: server.Limits{Sessions: 1000, Rate: 1e6, Burst: 1e6, TTL: 3 * time.Second, MaxTTL: time.Hour},
	})
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if refusal := c.refuses(); refusal != nil {
			refusal(w, r)
			return
		}
		api.ServeHTTP(w, r)
	})
	c.running = httptest.NewServer(handler)
	c.URL = c.running.URL
	t.Cleanup(func() { c.Stop() })
	return c
}

func byToken(r *http.Request) (string, error) {
	if token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer "); ok && token == Token {
		return "camera", nil
	}
	return "", identity.ErrUnknown
}

func (c *Connector) refuses() http.HandlerFunc {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.refuse == 0 {
		return nil
	}
	c.refuse--
	return c.refusal
}

// Refuse has the next n requests answered with a status, and Retry-After unless
// that is "".
func (c *Connector) Refuse(n, status int, retryAfter string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.refuse = n
	c.refusal = func(w http.ResponseWriter, _ *http.Request) {
		if retryAfter != "" {
			w.Header().Set("Retry-After", retryAfter)
		}
		http.Error(w, "not now", status)
	}
}

// Stop ends every connection and takes no more, as a connector that is killed.
// The sessions stay.
func (c *Connector) Stop() {
	c.running.Listener.Close()
	c.running.CloseClientConnections()
	c.running.Close()
}

// Start has it come back at the same address.
func (c *Connector) Start(t *testing.T) {
	t.Helper()
	l, err := net.Listen("tcp", c.running.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	again := &httptest.Server{Listener: l, Config: &http.Server{Handler: c.running.Config.Handler}}
	again.Start()
	c.running = again
}

// Serve gives every session, now and later, the server at an address, HOST:PORT.
func (c *Connector) Serve(address string) {
	c.kept.Serve(address)
}

// End ends every session, as one that was not renewed.
func (c *Connector) End() { c.kept.Forget() }

// Calls is how many sessions were created, renewed and ended by their client.
func (c *Connector) Calls() (created, renewed, ended int) {
	n := c.kept.Calls()
	return n.Created, n.Renewed, n.Ended
}

// Sessions is how many there are.
func (c *Connector) Sessions() int { return c.kept.Len() }
