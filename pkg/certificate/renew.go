package certificate

import (
	"context"
	"crypto/tls"
	"fmt"

	certtls "github.com/cert-manager/cert-manager/pkg/server/tls"
)

// Source is where a server's certificate comes from. Start renews it until its
// context ends.
type Source = certtls.CertificateSource

// Renew keeps the certificate of s up to date until ctx ends.
func Renew(ctx context.Context, s Source) error {
	if err := s.Start(ctx); err != nil && ctx.Err() == nil {
		return fmt.Errorf("renew the certificate: %w", err)
	}
	return nil
}

// Ready says why s has no certificate to serve yet, nil when it has one.
func Ready(s Source) error {
	if _, err := s.GetCertificate(nil); err != nil {
		return fmt.Errorf("waiting for the certificate: %w", err)
	}
	return nil
}

// ServerConfig is the TLS configuration of a server that asks s for the
// certificate of every new connection.
func ServerConfig(s Source) *tls.Config {
	return &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: s.GetCertificate}
}
