// Package servetls finds the certificate of a server that speaks TLS, and keeps
// it up to date without a restart.
//
// Files, or the right to keep a Secret, enter; a tls.Config for package serve
// leaves. It stands apart because of what it links: a program that speaks plain
// HTTP is half as large without.
package servetls

import (
	"context"
	"crypto/tls"
	"fmt"
	"math"
	"time"

	certtls "github.com/cert-manager/cert-manager/pkg/server/tls"
	"github.com/cert-manager/cert-manager/pkg/server/tls/authority"
	"k8s.io/client-go/rest"
)

// Certificate is where a server's certificate comes from. Start keeps it up
// to date until its context ends.
type Certificate = certtls.CertificateSource

// FileCertificate reads a certificate from files, such as a Secret that
// cert-manager fills, and reads them again whenever they change.
func FileCertificate(cert, key string) (Certificate, error) {
	if _, err := tls.LoadX509KeyPair(cert, key); err != nil {
		return nil, fmt.Errorf("read the certificate: %w", err)
	}
	return &certtls.FileCertificateSource{
		CertPath: cert, KeyPath: key,
		UpdateInterval: time.Second,
		// The source counts failures over its whole life and gives up at the
		// limit. A certificate caught half-way through a renewal is no reason
		// to die: the one in use stays until the next can be read.
		MaxFailures: math.MaxInt,
	}, nil
}

// SelfSigned makes certificates for dnsNames itself, signed by a CA that it
// keeps in a Secret, where all replicas find it, and renews in time.
func SelfSigned(config *rest.Config, namespace, secret string, dnsNames ...string) Certificate {
	return &certtls.DynamicSource{
		DNSNames: dnsNames,
		Authority: &authority.DynamicAuthority{
			SecretNamespace: namespace,
			SecretName:      secret,
			CommonName:      "heteroaccel-webhook-ca",
			RESTConfig:      config,
		},
	}
}

// Config is the configuration of a server that uses c for every new connection.
func Config(c Certificate) *tls.Config {
	return &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: c.GetCertificate}
}

// Start keeps c up to date until ctx ends.
func Start(ctx context.Context, c Certificate) error {
	if err := c.Start(ctx); err != nil && ctx.Err() == nil {
		return fmt.Errorf("keep the certificate: %w", err)
	}
	return nil
}
