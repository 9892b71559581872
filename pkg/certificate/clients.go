package certificate

import (
	"context"
	"crypto/tls"
	"fmt"
	"net/http"
	"time"

	"github.com/rs/zerolog"
	"k8s.io/apiserver/pkg/authentication/authenticator"
	"k8s.io/apiserver/pkg/authentication/request/x509"
	"k8s.io/apiserver/pkg/server/dynamiccertificates"

	"heteroaccel.io/pkg/serve"
)

// Clients are the callers that a server accepts, by their certificates.
type Clients struct {
	ca       *dynamiccertificates.DynamicFileCAContent
	verifier authenticator.Request
	// who is whom requests are taken from, for those who are refused.
	who string
	log zerolog.Logger
}

// ClientsOf accepts the certificates for client authentication that a CA in a file
// signed, PEM, which is read again when it changes. With names their subject's
// common name must be one of these. who is whom requests are taken from, as those
// who are refused read it: "the API server".
func ClientsOf(caFile string, names []string, who string, log zerolog.Logger) (*Clients, error) {
	ca, err := dynamiccertificates.NewDynamicCAContentFromFile("client-ca", caFile)
	if err != nil {
		return nil, fmt.Errorf("read the CA of the clients' certificates from %s: %w", caFile, err)
	}
	accepted := authenticator.RequestFunc(func(*http.Request) (*authenticator.Response, bool, error) { return nil, true, nil })
	return &Clients{
		ca:       ca,
		verifier: x509.NewDynamicCAVerifier(ca.VerifyOptions, accepted, x509.StaticStringSlice(names)),
		who:      who,
		log:      log.Sample(&zerolog.BurstSampler{Burst: 10, Period: time.Minute}), // whoever calls must not fill the log
	}, nil
}

// Run keeps the CA up to date until ctx ends. A file that cannot be read changes
// nothing.
func (c *Clients) Run(ctx context.Context) error {
	c.ca.Run(ctx, 1)
	return nil
}

// Ask has a server ask for a certificate. Require verifies it: a caller then learns
// in a sentence why it is refused, and a connection outlives no CA that is replaced.
func (c *Clients) Ask(config *tls.Config) *tls.Config {
	config = config.Clone()
	config.ClientAuth = tls.RequestClientCert
	return config
}

// Require answers 401 to every request whose connection has shown no certificate
// that is accepted, before its body is read.
func (c *Clients) Require(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, ok, err := c.verifier.AuthenticateRequest(r)
		switch {
		case err != nil:
			c.refuse(w, r, err.Error())
		case !ok:
			c.refuse(w, r, "there is no client certificate")
		default:
			next.ServeHTTP(w, r)
		}
	})
}

func (c *Clients) refuse(w http.ResponseWriter, r *http.Request, why string) {
	c.log.Warn().Str("caller", r.RemoteAddr).Str("reason", why).Msg("request refused")
	w.Header().Set("Connection", "close")
	serve.Error(w, http.StatusUnauthorized, "requests are taken from %s alone, by its client certificate: %s", c.who, why)
}
