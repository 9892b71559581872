package cluster

import (
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"maps"
	"os"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
)

// Reissued is a service account's token as the API server would have issued it at
// another time: it issues none that has expired, nor one for less than ten minutes.
func (c *Cluster) Reissued(token string, issued, expires time.Time) (string, error) {
	parsed, err := jwt.ParseSigned(token, []jose.SignatureAlgorithm{jose.ES256})
	if err != nil {
		return "", fmt.Errorf("read the token: %w", err)
	}
	claims := map[string]any{}
	if err := parsed.UnsafeClaimsWithoutVerification(&claims); err != nil {
		return "", fmt.Errorf("read the token: %w", err)
	}
	maps.Copy(claims, map[string]any{"iat": issued.Unix(), "nbf": issued.Unix(), "exp": expires.Unix()})
	key, err := c.tokenKey()
	if err != nil {
		return "", err
	}
	options := (&jose.SignerOptions{}).WithHeader("kid", parsed.Headers[0].KeyID)
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: key}, options)
	if err != nil {
		return "", fmt.Errorf("sign the token: %w", err)
	}
	reissued, err := jwt.Signed(signer).Claims(claims).Serialize()
	if err != nil {
		return "", fmt.Errorf("sign the token: %w", err)
	}
	return reissued, nil
}

// tokenKey is the key with which the API server signs tokens.
func (c *Cluster) tokenKey() (any, error) {
	data, err := os.ReadFile(c.path("pki", "tokens.key"))
	if err != nil {
		return nil, fmt.Errorf("read the service-account key: %w", err)
	}
	block, _ := pem.Decode(data)
	if block == nil {
		return nil, errors.New("read the service-account key: it is not PEM")
	}
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("read the service-account key: %w", err)
	}
	return key, nil
}
