package certificate

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"math/big"
	"net/http"
	"slices"
	"time"

	"heteroaccel.io/pkg/serve"
)

// sharedName is what a client asks for that knows the server by a secret alone. It
// resolves nowhere.
const sharedName = "shared-secret.heteroaccel.internal"

// Shared has two programs that have the same secret know each other by it: each shows a
// certificate whose private key follows from the secret, and takes no other. There is no
// CA, and no name that an address would have to have.
type Shared struct {
	// seeds are 32 bytes each that follow from the secrets as they are now, those of the
	// newest first; none while there is no secret.
	seeds func() [][]byte
}

// SharedBy returns one for secrets, given as seeds of ed25519.SeedSize bytes that serve
// nothing else. A secret may be replaced: for a while each side then has several.
func SharedBy(seeds func() [][]byte) *Shared { return &Shared{seeds} }

// Server has a server, which serves others with config, also serve clients that have the
// secret, at the same address. Require tells them from the others.
func (s *Shared) Server(config *tls.Config) *tls.Config {
	config = config.Clone()
	others := config.GetConfigForClient
	config.GetConfigForClient = func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
		switch {
		case hello.ServerName == sharedName:
			return s.mutual()
		case others != nil:
			return others(hello)
		}
		return nil, nil
	}
	return config
}

// Client is how a client that has the secret connects to Server.
func (s *Shared) Client() *tls.Config {
	return &tls.Config{
		MinVersion:           tls.VersionTLS13,
		ServerName:           sharedName,
		GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return s.certificate() },
		InsecureSkipVerify:   true, // VerifyConnection does
		VerifyConnection:     s.verify,
	}
}

// mutual is the configuration of one connection.
func (s *Shared) mutual() (*tls.Config, error) {
	own, err := s.certificate()
	if err != nil {
		return nil, err
	}
	return &tls.Config{
		MinVersion:       tls.VersionTLS13,
		NextProtos:       []string{"http/1.1"},
		Certificates:     []tls.Certificate{*own},
		ClientAuth:       tls.RequireAnyClientCert,
		VerifyConnection: s.verify,
	}, nil
}

// Require answers 403 to everybody who has not connected with the secret.
func (s *Shared) Require(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.TLS == nil || r.TLS.ServerName != sharedName || s.verify(*r.TLS) != nil {
			w.Header().Set("Connection", "close")
			serve.Error(w, http.StatusForbidden, "requests are taken here from the extender alone, which has the key of the webhook's Secret")
			return
		}
		next.ServeHTTP(w, r)
	})
}

var errNoSecret = errors.New("there is no secret yet that both sides have")

// certificate is that of the newest secret. Who verifies it looks at its key alone.
func (s *Shared) certificate() (*tls.Certificate, error) {
	seeds := s.seeds()
	if len(seeds) == 0 {
		return nil, errNoSecret
	}
	key := ed25519.NewKeyFromSeed(seeds[0])
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		DNSNames:     []string{sharedName},
		NotBefore:    time.Unix(0, 0), NotAfter: time.Unix(1<<33, 0),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, fmt.Errorf("create a certificate: %w", err)
	}
	return &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, nil
}

// verify reports whether the other side has one of the secrets: TLS has seen to it that
// it has the private key of its certificate.
func (s *Shared) verify(c tls.ConnectionState) error {
	if len(c.PeerCertificates) == 0 {
		return errors.New("there is no certificate")
	}
	shown, ok := c.PeerCertificates[0].PublicKey.(ed25519.PublicKey)
	if !ok || !slices.ContainsFunc(s.seeds(), func(seed []byte) bool {
		return ed25519.NewKeyFromSeed(seed).Public().(ed25519.PublicKey).Equal(shown)
	}) {
		return errors.New("the other side does not have the key of the webhook's Secret, or not the same one yet")
	}
	return nil
}
