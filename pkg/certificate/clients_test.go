package certificate

import (
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
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/renameio/v2"
	"github.com/rs/zerolog"
	"heteroaccel.io/pkg/serve/servetest"
)

// clientCA is a CA of clients.
type clientCA struct {
	key  *ecdsa.PrivateKey
	cert *x509.Certificate
}

func newClientCA(t *testing.T) *clientCA {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "a CA"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return &clientCA{key, cert}
}

// write writes the certificates of CAs as one file.
func write(t *testing.T, file string, all ...*clientCA) {
	t.Helper()
	var content []byte
	for _, a := range all {
		content = append(content, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.cert.Raw})...)
	}
	if err := renameio.WriteFile(file, content, 0o600); err != nil {
		t.Fatal(err)
	}
}

// client has a certificate of a name, for one use, that ends at a time.
func (a *clientCA) client(t *testing.T, name string, use x509.ExtKeyUsage, ends time.Time) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-2 * time.Hour), NotAfter: ends,
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{use},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, key.Public(), a.key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// demanding serves to the clients that a CA file vouches for.
func demanding(t *testing.T, caFile string, names ...string) *httptest.Server {
	t.Helper()
	clients, err := ClientsOf(caFile, names, "the API server", zerolog.Nop())
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		if err := clients.Run(t.Context()); err != nil {
			t.Error(err)
		}
	}()
	hello := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "hello") })
	s := httptest.NewUnstartedServer(clients.Require(hello))
	s.TLS = clients.Ask(&tls.Config{})
	s.EnableHTTP2 = true
	s.StartTLS()
	t.Cleanup(s.Close)
	return s
}

// callAs returns a function that makes a request, on one connection while that is
// open, and returns its status and body.
func callAs(t *testing.T, s *httptest.Server, shown ...tls.Certificate) func() (int, string) {
	t.Helper()
	transport := s.Client().Transport.(*http.Transport).Clone()
	transport.TLSClientConfig.Certificates = shown
	t.Cleanup(transport.CloseIdleConnections)
	client := &http.Client{Transport: transport}
	return func() (int, string) {
		resp, err := client.Get(s.URL)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return resp.StatusCode, string(body)
	}
}

func TestClients(t *testing.T) {
	ca, other := newClientCA(t), newClientCA(t)
	file := filepath.Join(t.TempDir(), "ca.crt")
	write(t, file, ca)
	const use, later = x509.ExtKeyUsageClientAuth, time.Hour
	soon := time.Now().Add(later)
	for name, tt := range map[string]struct {
		shown  []tls.Certificate
		names  []string
		status int
		says   string
	}{
		"none":             {nil, nil, 401, "by its client certificate: there is no client certificate"},
		"its own":          {[]tls.Certificate{ca.client(t, "kube-apiserver", use, soon)}, nil, 200, "hello"},
		"of the name":      {[]tls.Certificate{ca.client(t, "kube-apiserver", use, soon)}, []string{"front", "kube-apiserver"}, 200, "hello"},
		"of another name":  {[]tls.Certificate{ca.client(t, "camera", use, soon)}, []string{"kube-apiserver"}, 401, "subject with cn=camera is not in the allowed list"},
		"of another CA":    {[]tls.Certificate{other.client(t, "kube-apiserver", use, soon)}, nil, 401, "signed by unknown authority"},
		"expired":          {[]tls.Certificate{ca.client(t, "kube-apiserver", use, time.Now().Add(-time.Minute))}, nil, 401, "has expired"},
		"that of a server": {[]tls.Certificate{ca.client(t, "kube-apiserver", x509.ExtKeyUsageServerAuth, soon)}, nil, 401, "incompatible key usage"},
	} {
		t.Run(name, func(t *testing.T) {
			call := callAs(t, demanding(t, file, tt.names...), tt.shown...)
			status, body := call()
			if status != tt.status || !strings.Contains(body, tt.says) || strings.Contains(body, "\n") {
				t.Errorf("%d %s, want %d and %q", status, body, tt.status, tt.says)
			}
		})
	}
}

// TestClientCAChanges: a CA that is replaced is so without a restart, and for
// connections that are open too.
func TestClientCAChanges(t *testing.T) {
	before, after := newClientCA(t), newClientCA(t)
	file := filepath.Join(t.TempDir(), "ca.crt")
	write(t, file, before)
	s := demanding(t, file)
	soon := time.Now().Add(time.Hour)
	old := callAs(t, s, before.client(t, "kube-apiserver", x509.ExtKeyUsageClientAuth, soon))
	renewed := callAs(t, s, after.client(t, "kube-apiserver", x509.ExtKeyUsageClientAuth, soon))
	becomes := func(call func() (int, string), want int) {
		t.Helper()
		servetest.Until(t, func() error {
			if status, body := call(); status != want {
				return fmt.Errorf("%d %s, want %d", status, body, want)
			}
			return nil
		})
	}
	becomes(old, 200)
	becomes(renewed, 401)
	write(t, file, before, after)
	becomes(renewed, 200)
	becomes(old, 200)
	write(t, file, after)
	becomes(old, 401)
	becomes(renewed, 200)
}

func TestMissingClientCA(t *testing.T) {
	if _, err := ClientsOf(filepath.Join(t.TempDir(), "ca.crt"), nil, "the API server", zerolog.Nop()); err == nil || !strings.Contains(err.Error(), "ca.crt") {
		t.Errorf("a missing CA gives %v", err)
	}
}
