package certificate

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"testing"
	"time"
)

// signed makes a CA, as PEM, and a certificate that it signed.
func signed(t *testing.T, name string) (ca []byte, leaf *tls.Certificate) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := func(serial int64, name string, isCA bool) *x509.Certificate {
		return &x509.Certificate{
			SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: name}, DNSNames: []string{"localhost"},
			NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
			IsCA: isCA, BasicConstraintsValid: true,
		}
	}
	root, err := x509.CreateCertificate(rand.Reader, template(1, name, true), template(1, name, true), &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	parent, err := x509.ParseCertificate(root)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.CreateCertificate(rand.Reader, template(2, "localhost", false), parent, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: root}), &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// fixed is a source whose certificate the test changes.
type fixed struct{ current *tls.Certificate }

func (s *fixed) Start(context.Context) error { return nil }
func (s *fixed) Healthy() bool               { return true }
func (s *fixed) GetCertificate(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	return s.current, nil
}

// TestChangeover changes the CA: the old certificate is served until the API
// server has had the new CA for a while.
func TestChangeover(t *testing.T) {
	oldCA, old := signed(t, "old")
	newCA, renewed := signed(t, "new")
	bundle := &caBundle{}
	inner := &fixed{old}
	c := &changeover{CertificateSource: inner, bundle: bundle}
	serves := func(when string, want *tls.Certificate) {
		t.Helper()
		if got, err := c.GetCertificate(nil); err != nil || got != want {
			t.Errorf("%s: the wrong certificate is served (%v)", when, err)
		}
	}
	now := time.Now()
	serves("at the first start", old)
	bundle.observe(oldCA, now.Add(-time.Hour))
	inner.current = renewed
	serves("before the API server knows the new CA", old)
	both := withCA(newCA, oldCA, now)
	bundle.observe(both, now)
	serves("right after it was told", old)
	bundle.trusted.Store(&trust{both, now.Add(-2 * propagation)})
	serves("once it had time to use it", renewed)
}

func TestBundleWithCA(t *testing.T) {
	oldCA, _ := signed(t, "old")
	newCA, _ := signed(t, "new")
	now := time.Now()
	for name, c := range map[string]struct {
		current, bundle []byte
		at              time.Time
		want            string
	}{
		"nothing yet":          {newCA, nil, now, string(newCA)},
		"right already":        {newCA, newCA, now, string(newCA)},
		"a change keeps both":  {newCA, oldCA, now, string(newCA) + string(oldCA)},
		"both are there":       {newCA, append(append([]byte{}, newCA...), oldCA...), now, string(newCA) + string(oldCA)},
		"the old one expired":  {newCA, oldCA, now.Add(2 * time.Hour), string(newCA)},
		"nonsense stood there": {newCA, []byte("nonsense"), now, string(newCA)},
	} {
		if got := string(withCA(c.current, c.bundle, c.at)); got != c.want {
			t.Errorf("%s: got %d bytes, want %d", name, len(got), len(c.want))
		}
	}
}
