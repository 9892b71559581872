package reviews

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"time"

	lru "github.com/hashicorp/golang-lru/v2/expirable"
	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/kubernetes"
)

// accessFor is how long the API server's word about an access holds: as a right that
// is given or taken away should show soon.
const accessFor = 10 * time.Second

// Access asks what users may do.
type Access struct {
	client kubernetes.Interface
	known  *lru.LRU[[sha256.Size]byte, bool]
}

// NewAccess returns one that has asked nothing yet.
func NewAccess(client kubernetes.Interface) *Access {
	return &Access{client, lru.NewLRU[[sha256.Size]byte, bool](kept, nil, accessFor)}
}

// MayList reports whether a user may list a resource in a namespace, or in the whole
// cluster if that is "". The error is that the API server could not be asked.
func (a *Access) MayList(ctx context.Context, user *authenticationv1.UserInfo, resource schema.GroupResource, namespace string) (bool, error) {
	spec := authorizationv1.SubjectAccessReviewSpec{
		User: user.Username, UID: user.UID, Groups: user.Groups,
		ResourceAttributes: &authorizationv1.ResourceAttributes{
			Verb: "list", Group: resource.Group, Resource: resource.Resource, Namespace: namespace,
		},
	}
	if len(user.Extra) > 0 {
		spec.Extra = make(map[string]authorizationv1.ExtraValue, len(user.Extra))
		for key, values := range user.Extra {
			spec.Extra[key] = authorizationv1.ExtraValue(values)
		}
	}
	question, err := json.Marshal(spec)
	if err != nil {
		return false, fmt.Errorf("encode a SubjectAccessReview: %w", err)
	}
	sum := sha256.Sum256(question)
	if allowed, ok := a.known.Get(sum); ok {
		return allowed, nil
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	answer, err := a.client.AuthorizationV1().SubjectAccessReviews().Create(ctx, &authorizationv1.SubjectAccessReview{Spec: spec}, metav1.CreateOptions{})
	if err != nil {
		return false, fmt.Errorf("ask the API server whether %s may list %s: %w", user.Username, resource, err)
	}
	a.known.Add(sum, answer.Status.Allowed)
	return answer.Status.Allowed, nil
}
