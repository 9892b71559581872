package reviews

import (
	"context"
	"crypto/sha256"
	"fmt"
	"net/http"
	"strings"
	"time"

	lru "github.com/hashicorp/golang-lru/v2/expirable"
	authenticationv1 "k8s.io/api/authentication/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
)

const (
	// tokenFor is how long the API server's word about a token holds.
	tokenFor = time.Minute
	// kept is of how many tokens, and of how many accesses, answers are kept.
	kept = 4096
	// longestToken bounds what is sent to the API server, in bytes.
	longestToken = 8 << 10
	// patience is how long the API server may take.
	patience = 5 * time.Second
)

// Bearer is the token of a request; ok is false if it has none.
func Bearer(r *http.Request) (token string, ok bool) {
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	token = strings.TrimSpace(token)
	return token, strings.EqualFold(scheme, "Bearer") && token != ""
}

// Tokens asks who tokens are of.
type Tokens struct {
	client kubernetes.Interface
	known  *lru.LRU[[sha256.Size]byte, *authenticationv1.UserInfo]
}

// NewTokens returns one that takes tokens for the API server. It has asked nothing yet.
func NewTokens(client kubernetes.Interface) *Tokens {
	return &Tokens{client, lru.NewLRU[[sha256.Size]byte, *authenticationv1.UserInfo](kept, nil, tokenFor)}
}

// User is who a token is of, nil for nobody. It must not be changed. The error is
// that the API server could not be asked.
func (t *Tokens) User(ctx context.Context, token string) (*authenticationv1.UserInfo, error) {
	if token == "" || len(token) > longestToken {
		return nil, nil
	}
	sum := sha256.Sum256([]byte(token))
	if user, ok := t.known.Get(sum); ok {
		return user, nil
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	answer, err := t.client.AuthenticationV1().TokenReviews().Create(ctx, &authenticationv1.TokenReview{
		Spec: authenticationv1.TokenReviewSpec{Token: token},
	}, metav1.CreateOptions{})
	if err != nil {
		return nil, fmt.Errorf("ask the API server about the token: %w", err)
	}
	var user *authenticationv1.UserInfo
	if answer.Status.Authenticated {
		user = &answer.Status.User
	}
	t.known.Add(sum, user)
	return user, nil
}
