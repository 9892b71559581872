package server

import (
	"crypto/tls"
	"crypto/x509"
	"sync"
	"time"

	"heteroaccel.io/pkg/serve/servetls"
)

// settling is how long the API server may take to use a caBundle that it has.
const settling = 5 * time.Second

// Changeover is a certificate whose CA changes from time to time: until the
// API server trusts the new one, the certificate that the old one signed is
// served on, so that no request fails meanwhile.
type Changeover struct {
	servetls.Certificate
	// Bundle says what the API server trusts.
	Bundle *CABundle

	mu   sync.Mutex
	last *tls.Certificate // the newest that the API server trusts
}

// GetCertificate returns the newest certificate that the API server trusts, or
// before there is any, at the first start, simply the newest.
func (c *Changeover) GetCertificate(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	newest, err := c.Certificate.GetCertificate(hello)
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	now := time.Now()
	if newest != c.last && (c.last == nil || c.Bundle.trusts(newest, now) || expired(c.last, now)) {
		c.last = newest
	}
	return c.last, nil
}

// trusts reports whether the API server takes a certificate by now.
func (c *CABundle) trusts(certificate *tls.Certificate, now time.Time) bool {
	t := c.trusted.Load()
	if t == nil || now.Sub(t.since) < settling {
		return false
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(t.bundle)
	leaf, err := x509.ParseCertificate(certificate.Certificate[0])
	if err != nil {
		return false
	}
	_, err = leaf.Verify(x509.VerifyOptions{Roots: roots, CurrentTime: now, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}})
	return err == nil
}

func expired(certificate *tls.Certificate, now time.Time) bool {
	leaf, err := x509.ParseCertificate(certificate.Certificate[0])
	return err != nil || now.After(leaf.NotAfter)
}
