package cluster

import (
	"fmt"
	"maps"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
	"k8s.io/client-go/util/keyutil"
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
	key, err := keyutil.PrivateKeyFromFile(c.path("pki", "tokens.key"))
	if err != nil {
		return "", fmt.Errorf("read the key that signs tokens: %w", err)
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
