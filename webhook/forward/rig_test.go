package forward

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"heteroaccel.io/pkg/certificate"
	"heteroaccel.io/pkg/serve"
	"heteroaccel.io/pkg/serve/servetest"
)

const dnsName = "heteroaccel-webhook.heteroaccel-system.svc"

// lease is who leads, as all replicas of a test see it.
type lease struct {
	mu      sync.Mutex
	address string
	changed chan struct{}
}

func newLease() *lease { return &lease{changed: make(chan struct{})} }

func (l *lease) leader() (string, <-chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.address, l.changed
}

// take has the replica at an address lead, "" for nobody.
func (l *lease) take(address string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.address = address
	close(l.changed)
	l.changed = make(chan struct{})
}

// replica forwards what reaches it at /mutate, and answers what others forward.
type replica struct {
	*httptest.Server
	forwarder *Forwarder
	// decide answers a review here, and reports whether it does.
	decide func(w http.ResponseWriter, r *http.Request) bool
	// begun is closed once this replica begins to lead.
	begun chan struct{}

	mu       sync.Mutex
	origins  []Origin // of what others forwarded
	received int      // bodies
}

// newReplica has the certificate in a directory.
func newReplica(t *testing.T, dir string, l *lease, change ...func(*Config)) *replica {
	t.Helper()
	source, err := certificate.FromFiles(filepath.Join(dir, "tls.crt"), filepath.Join(dir, "tls.key"))
	if err != nil {
		t.Fatal(err)
	}
	renewing, stop := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { _ = certificate.Renew(renewing, source) }) // its error would be that of the files, which stay
	t.Cleanup(func() { stop(); wg.Wait() })
	servetest.Eventually(t, "the certificate is read", func() bool { return certificate.Ready(source) == nil })
	peers := certificate.PeersOf(source, dnsName, zerolog.Nop())
	c := Config{Leader: l.leader, TLS: peers.ClientConfig(), Registry: prometheus.NewRegistry(), Log: zerolog.New(zerolog.NewTestWriter(t))}
	for _, f := range change {
		f(&c)
	}
	r := &replica{forwarder: New(c), begun: make(chan struct{}), decide: func(http.ResponseWriter, *http.Request) bool { return false }}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /mutate", func(w http.ResponseWriter, q *http.Request) {
		serve.Body(w, q, 8<<20, func(body []byte) {
			r.forwarder.Answer(w, q, body, func() <-chan struct{} {
				if r.decide(w, q) {
					return nil
				}
				return r.begun
			})
		})
	})
	mux.Handle("POST "+Path, Accept(peers.Require, http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		origin, _ := OriginOf(q)
		body, err := io.ReadAll(q.Body)
		if err != nil {
			return
		}
		q.Body = io.NopCloser(bytes.NewReader(body))
		r.mu.Lock()
		r.origins, r.received = append(r.origins, origin), r.received+1
		r.mu.Unlock()
		if !r.decide(w, q) {
			serve.Error(w, http.StatusServiceUnavailable, "standing by")
		}
	})))
	r.Server = httptest.NewUnstartedServer(mux)
	r.TLS = peers.Ask(certificate.ServerConfig(source))
	r.EnableHTTP2 = true
	r.StartTLS()
	t.Cleanup(r.Close)
	t.Cleanup(r.CloseClientConnections)
	return r
}

func (r *replica) address() string { return strings.TrimPrefix(r.URL, "https://") }

func (r *replica) forwardedHere() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.received
}

// says is a decision that names who decided, and what was asked.
func says(who string) func(http.ResponseWriter, *http.Request) bool {
	return func(w http.ResponseWriter, r *http.Request) bool {
		body, _ := io.ReadAll(r.Body) // at /mutate it was read before
		serve.JSON(w, http.StatusOK, who+" of "+string(body))
		return true
	}
}

// post sends a review as the API server does, and returns the answer.
func (r *replica) post(ctx context.Context, timeout, body string) (int, string, error) {
	q, err := http.NewRequestWithContext(ctx, http.MethodPost, r.URL+"/mutate?timeout="+timeout, strings.NewReader(body))
	if err != nil {
		return 0, "", err
	}
	q.Header.Set("Content-Type", "application/json")
	return send(r.Client(), q)
}

func send(c *http.Client, q *http.Request) (int, string, error) {
	resp, err := c.Do(q)
	if err != nil {
		return 0, "", err
	}
	defer resp.Body.Close()
	got, err := io.ReadAll(resp.Body)
	return resp.StatusCode, string(got), err
}

// authority signs certificates.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	a := &authority{key: newKey(t)}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: fmt.Sprintf("ca of %s %d", t.Name(), time.Now().UnixNano())},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, a.key.Public(), a.key)
	if err != nil {
		t.Fatal(err)
	}
	if a.cert, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	return a
}

func newKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// directory has a certificate of its own for a DNS name, with the CA beside it.
func (a *authority) directory(t *testing.T, host string) string {
	t.Helper()
	dir, key := t.TempDir(), newKey(t)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: host}, DNSNames: []string{host},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}, // as cert-manager was told
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, key.Public(), a.key)
	if err != nil {
		t.Fatal(err)
	}
	rawKey, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	for file, block := range map[string]*pem.Block{
		"tls.crt": {Type: "CERTIFICATE", Bytes: der},
		"tls.key": {Type: "PRIVATE KEY", Bytes: rawKey},
		"ca.crt":  {Type: "CERTIFICATE", Bytes: a.cert.Raw},
	} {
		if err := os.WriteFile(filepath.Join(dir, file), pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// showing is a client that shows the certificate of a directory, "" for none.
func showing(t *testing.T, r *replica, dir string) *http.Client {
	t.Helper()
	transport := r.Client().Transport.(*http.Transport).Clone()
	if dir != "" {
		pair, err := tls.LoadX509KeyPair(filepath.Join(dir, "tls.crt"), filepath.Join(dir, "tls.key"))
		if err != nil {
			t.Fatal(err)
		}
		transport.TLSClientConfig.Certificates = []tls.Certificate{pair}
	}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}
