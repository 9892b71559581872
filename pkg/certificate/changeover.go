package certificate

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"sync"
	"time"

	certtls "github.com/cert-manager/cert-manager/pkg/server/tls"
	"golang.org/x/sync/errgroup"
)

// propagation is how long the API server may take to use a caBundle that it
// has stored.
const propagation = 5 * time.Second

// changeover is a source whose CA is renewed from time to time: until the API
// server trusts the new CA, the certificate that the old one signed is served,
// so that no request fails meanwhile.
type changeover struct {
	certtls.CertificateSource
	// bundle says what the API server trusts.
	bundle *caBundle

	mu   sync.Mutex
	last *tls.Certificate // the newest that the API server trusts
}

// Start renews the certificate and the caBundle until ctx ends.
func (c *changeover) Start(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return c.bundle.run(ctx) })
	group.Go(func() error { return c.CertificateSource.Start(ctx) })
	return group.Wait()
}

// GetCertificate returns the newest certificate that the API server trusts;
// the newest of all while it trusts none, as at the first start.
func (c *changeover) GetCertificate(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	newest, err := c.CertificateSource.GetCertificate(hello)
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	now := time.Now()
	if newest != c.last && (c.last == nil || c.bundle.trusts(newest, now) || expired(c.last, now)) {
		c.last = newest
	}
	return c.last, nil
}

// vouches takes whatever our CA signed, or the one before it, while the API server
// trusts that too.
func (c *changeover) vouches(presented []*x509.Certificate, name string, now time.Time) error {
	var cas []byte
	if t := c.bundle.trusted.Load(); t != nil {
		cas = append(cas, t.bundle...)
	}
	if ca := c.bundle.ca.Load(); ca != nil {
		cas = append(cas, *ca...)
	}
	return signedBy(cas, presented, name, now)
}

// trusts reports whether the API server accepts a certificate by now.
func (c *caBundle) trusts(certificate *tls.Certificate, now time.Time) bool {
	t := c.trusted.Load()
	if t == nil || now.Sub(t.since) < propagation {
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
