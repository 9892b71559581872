package apiproxy

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"

	"k8s.io/client-go/rest"

	"heteroaccel.io/e2e/poll"
)

// started runs a proxy before a handler, and returns a client with a program's
// certificate.
func started(t *testing.T, handler http.HandlerFunc) (*Proxy, *http.Client) {
	t.Helper()
	upstream := httptest.NewTLSServer(handler)
	t.Cleanup(upstream.Close)
	dir := t.TempDir()
	ca, caKey := issue(t, nil, nil, pkix.Name{CommonName: "ca"})
	server, serverKey := issue(t, ca, caKey, pkix.Name{CommonName: "proxy"})
	program, programKey := issue(t, ca, caKey, pkix.Name{CommonName: "program", Organization: []string{"these", "those"}})
	write := func(name, kind string, der []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	der, err := x509.MarshalECPrivateKey(serverKey)
	if err != nil {
		t.Fatal(err)
	}
	p, err := Start(Config{
		Name: "webhook",
		API: &rest.Config{Host: upstream.URL, TLSClientConfig: rest.TLSClientConfig{
			CAData: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: upstream.Certificate().Raw}),
		}},
		CA: write("ca.crt", "CERTIFICATE", ca.Raw), Cert: write("proxy.crt", "CERTIFICATE", server.Raw), Key: write("proxy.key", "EC PRIVATE KEY", der),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	roots := x509.NewCertPool()
	roots.AddCert(ca)
	transport := &http.Transport{ForceAttemptHTTP2: true, TLSClientConfig: &tls.Config{
		RootCAs: roots, Certificates: []tls.Certificate{{Certificate: [][]byte{program.Raw}, PrivateKey: programKey}},
	}}
	t.Cleanup(transport.CloseIdleConnections)
	return p, &http.Client{Transport: transport}
}

// issue makes a certificate, by itself where there is no parent.
func issue(t *testing.T, parent *x509.Certificate, parentKey *ecdsa.PrivateKey, name pkix.Name) (*x509.Certificate, *ecdsa.PrivateKey) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		Subject: name, SerialNumber: big.NewInt(time.Now().UnixNano()),
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	if parent == nil {
		template.IsCA, template.BasicConstraintsValid, template.KeyUsage = true, true, x509.KeyUsageCertSign
		template.ExtKeyUsage = nil
		parent, parentKey = template, key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), parentKey)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return cert, key
}

// eventually waits until something is true.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	err := poll.Within(t.Context(), time.Minute, func(context.Context) error {
		if !holds() {
			return fmt.Errorf("not yet: %s", what)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
