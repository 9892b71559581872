package certificate

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/rs/zerolog"

	"heteroaccel.io/pkg/serve"
)

// ReplicaSource is a Source that also tells whether a certificate is one that another
// replica of the same server has from it.
type ReplicaSource interface {
	Source
	// vouches says why a certificate, of which the leaf comes first, is no replica's
	// that is known by a DNS name; nil if it is.
	vouches(presented []*x509.Certificate, name string, now time.Time) error
}

// Peers are the replicas of a server. Each shows the others the certificate that it
// serves, whoever calls.
type Peers struct {
	source ReplicaSource
	name   string
	log    zerolog.Logger
}

// PeersOf are the replicas whose certificates come from where s has its own, and name
// the server.
func PeersOf(s ReplicaSource, name string, log zerolog.Logger) *Peers {
	return &Peers{s, name, log.Sample(&zerolog.BurstSampler{Burst: 10, Period: time.Minute})} // as in ClientsOf
}

// Ask has a server ask for a certificate. Require verifies it.
func (p *Peers) Ask(config *tls.Config) *tls.Config {
	config = config.Clone()
	config.ClientAuth = tls.RequestClientCert
	return config
}

// Require answers 403 to every request that no replica has sent, before its body is
// read.
func (p *Peers) Require(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		err := errors.New("the connection is not encrypted")
		if r.TLS != nil {
			err = p.verify(r.TLS.PeerCertificates)
		}
		if err != nil {
			p.log.Warn().Str("caller", r.RemoteAddr).Str("reason", err.Error()).Msg("request of no replica refused")
			w.Header().Set("Connection", "close")
			serve.Error(w, http.StatusForbidden, "requests are taken here from another replica alone, by its certificate: %v", err)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// ClientConfig shows our certificate to another replica, and takes no other server's.
func (p *Peers) ClientConfig() *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS12,
		ServerName: p.name,
		GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			return p.source.GetCertificate(nil)
		},
		InsecureSkipVerify: true, // VerifyConnection does, also by what files had before
		VerifyConnection:   func(s tls.ConnectionState) error { return p.verify(s.PeerCertificates) },
	}
}

func (p *Peers) verify(presented []*x509.Certificate) error {
	if len(presented) == 0 {
		return errors.New("there is no certificate")
	}
	if now := time.Now(); now.After(presented[0].NotAfter) || now.Before(presented[0].NotBefore) {
		return errors.New("the certificate has expired, or is not valid yet")
	}
	return p.source.vouches(presented, p.name, time.Now())
}

// signedBy says why a certificate for a name was not signed by one of some CAs, PEM. It
// may be one for any use: a server shows its own to another.
func signedBy(cas []byte, presented []*x509.Certificate, name string, now time.Time) error {
	roots, between := x509.NewCertPool(), x509.NewCertPool()
	roots.AppendCertsFromPEM(cas)
	for _, c := range presented[1:] {
		between.AddCert(c)
	}
	_, err := presented[0].Verify(x509.VerifyOptions{
		DNSName: name, Roots: roots, Intermediates: between, CurrentTime: now, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny},
	})
	if err != nil {
		return fmt.Errorf("verify the certificate of another replica: %w", err)
	}
	return nil
}
