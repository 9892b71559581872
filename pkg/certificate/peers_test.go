package certificate

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"heteroaccel.io/pkg/serve/servetest"
)

// leafOf is the certificate in a directory.
func leafOf(t *testing.T, dir string) []*x509.Certificate {
	t.Helper()
	pair, err := tls.LoadX509KeyPair(filepath.Join(dir, "tls.crt"), filepath.Join(dir, "tls.key"))
	if err != nil {
		t.Fatal(err)
	}
	return parsed(t, &pair)
}

func parsed(t *testing.T, c *tls.Certificate) []*x509.Certificate {
	t.Helper()
	leaf, err := x509.ParseCertificate(c.Certificate[0])
	if err != nil {
		t.Fatal(err)
	}
	return []*x509.Certificate{leaf}
}

// judged compares what peers say of a certificate with what they should, "" for yes.
func judged(t *testing.T, when string, p *Peers, presented []*x509.Certificate, want string) {
	t.Helper()
	switch err := p.verify(presented); {
	case want == "" && err != nil:
		t.Errorf("%s: refused: %v", when, err)
	case want != "" && (err == nil || !strings.Contains(err.Error(), want)):
		t.Errorf("%s: error %v, want %q", when, err, want)
	}
}

// TestPeersByFile: replicas are known by the certificate that our file has or had
// before, and by the CA beside it.
func TestPeersByFile(t *testing.T) {
	dir, other := t.TempDir(), t.TempDir()
	issue(t, dir, 1)
	issue(t, other, 1)
	source, err := FromFiles(filepath.Join(dir, "tls.crt"), filepath.Join(dir, "tls.key"))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	renewed := make(chan error, 1)
	go func() { renewed <- Renew(ctx, source) }()
	defer func() {
		cancel()
		if err := <-renewed; err != nil {
			t.Error(err)
		}
	}()
	servetest.Eventually(t, "the certificate is read", func() bool { return Ready(source) == nil })
	p := PeersOf(source, "localhost", zerolog.Nop())
	serves := func(leaf []*x509.Certificate) func() bool {
		return func() bool {
			c, err := source.GetCertificate(nil)
			return err == nil && parsed(t, c)[0].Equal(leaf[0])
		}
	}
	first := leafOf(t, dir)
	judged(t, "ours", p, first, "")
	judged(t, "another's", p, leafOf(t, other), "not the one in our file")
	judged(t, "none", p, nil, "no certificate")
	issue(t, dir, 2)
	second := leafOf(t, dir)
	servetest.Eventually(t, "it is renewed", serves(second))
	judged(t, "the new one", p, second, "")
	judged(t, "the one before", p, first, "")
	issue(t, dir, 3)
	servetest.Eventually(t, "it is renewed again", serves(leafOf(t, dir)))
	judged(t, "one of long ago", p, first, "not the one in our file")

	ca, leaf := signed(t, "ca")
	if err := os.WriteFile(filepath.Join(dir, caFile), ca, 0o600); err != nil {
		t.Fatal(err)
	}
	judged(t, "the CA's", p, parsed(t, leaf), "")
	_, stranger := signed(t, "another")
	judged(t, "another CA's", p, parsed(t, stranger), "unknown authority")
	judged(t, "the CA's, of another name", PeersOf(source, "example.com", zerolog.Nop()), parsed(t, leaf), "not example.com")
	past := *parsed(t, leaf)[0]
	past.NotAfter = time.Now().Add(-time.Minute)
	judged(t, "an expired one", p, []*x509.Certificate{&past}, "expired")
}

// TestPeersByCA: replicas are known by our CA, or the one before it.
func TestPeersByCA(t *testing.T) {
	oldCA, old := signed(t, "old")
	newCA, renewed := signed(t, "new")
	_, stranger := signed(t, "another")
	bundle := &caBundle{}
	c := &changeover{CertificateSource: &fixed{renewed}, bundle: bundle}
	p := PeersOf(c, "localhost", zerolog.Nop())
	judged(t, "before the CA was read", p, parsed(t, old), "unknown authority")
	bundle.ca.Store(&oldCA)
	judged(t, "signed by it", p, parsed(t, old), "")
	judged(t, "by the next", p, parsed(t, renewed), "unknown authority")
	bundle.ca.Store(&newCA)
	bundle.observe(withCA(newCA, oldCA, time.Now()), time.Now())
	judged(t, "by the new one", p, parsed(t, renewed), "")
	judged(t, "by the one before", p, parsed(t, old), "")
	judged(t, "by another", p, parsed(t, stranger), "unknown authority")
	judged(t, "of another name", PeersOf(c, "example.com", zerolog.Nop()), parsed(t, renewed), "not example.com")
}

// TestPeersRequire: both sides show who they are.
func TestPeersRequire(t *testing.T) {
	ca, leaf := signed(t, "ca")
	bundle := &caBundle{}
	bundle.ca.Store(&ca)
	p := PeersOf(&changeover{CertificateSource: &fixed{leaf}, bundle: bundle}, "localhost", zerolog.Nop())
	hello := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "hello") })
	s := httptest.NewUnstartedServer(p.Require(hello))
	s.TLS = p.Ask(&tls.Config{Certificates: []tls.Certificate{*leaf}})
	s.StartTLS()
	defer s.Close()
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(ca)
	for name, c := range map[string]struct {
		config *tls.Config
		want   int
	}{
		"a replica":     {p.ClientConfig(), http.StatusOK},
		"somebody":      {&tls.Config{RootCAs: roots, ServerName: "localhost"}, http.StatusForbidden},
		"a self-styled": {&tls.Config{RootCAs: roots, ServerName: "localhost", Certificates: []tls.Certificate{selfStyled(t)}}, http.StatusForbidden},
	} {
		client := &http.Client{Transport: &http.Transport{TLSClientConfig: c.config}}
		resp, err := client.Get(s.URL)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		_ = resp.Body.Close() // it is not read
		if resp.StatusCode != c.want {
			t.Errorf("%s: %d, want %d", name, resp.StatusCode, c.want)
		}
		client.CloseIdleConnections()
	}
	plain := httptest.NewServer(p.Require(hello))
	defer plain.Close()
	resp, err := http.Get(plain.URL)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close() // it is not read
	if resp.StatusCode != http.StatusForbidden {
		t.Errorf("without TLS: %d", resp.StatusCode)
	}
	// Whoever listens at the leader's address gets nothing if it is no replica.
	stranger := httptest.NewTLSServer(hello)
	defer stranger.Close()
	if resp, err := (&http.Client{Transport: &http.Transport{TLSClientConfig: p.ClientConfig()}}).Get(stranger.URL); err == nil {
		_ = resp.Body.Close()
		t.Error("a stranger was taken for a replica")
	}
}

// selfStyled is a certificate of a replica's name that nobody else signed.
func selfStyled(t *testing.T) tls.Certificate {
	t.Helper()
	dir := t.TempDir()
	issue(t, dir, 7)
	pair, err := tls.LoadX509KeyPair(filepath.Join(dir, "tls.crt"), filepath.Join(dir, "tls.key"))
	if err != nil {
		t.Fatal(err)
	}
	return pair
}

// TestSignedByIntermediate: what comes with a certificate helps to judge it.
func TestSignedByIntermediate(t *testing.T) {
	root := newClientCA(t)
	leaf := root.client(t, "x", x509.ExtKeyUsageServerAuth, time.Now().Add(time.Hour))
	parsedLeaf := parsed(t, &leaf)
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: root.cert.Raw})
	if err := signedBy(ca, parsedLeaf, "", time.Now()); err != nil {
		t.Errorf("of a server, shown by a client: %v", err)
	}
	if err := signedBy(nil, append(parsedLeaf, root.cert), "", time.Now()); err == nil {
		t.Error("a CA that came with the certificate was trusted")
	}
}
