package podapi

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
)

// ErrChanged says that the pod was deleted, bound or changed before we acted on
// it: nothing is wrong.
var ErrChanged = errors.New("the pod is no longer what it was")

// Rejection says why a pod is not recreated, in a sentence for its owner.
type Rejection struct{ Reason string }

func (r Rejection) Error() string { return r.Reason }

// Rejected reports whether an error is a Rejection.
func Rejected(err error) bool {
	_, ok := errors.AsType[Rejection](err)
	return ok
}

// Changed wraps ErrChanged around an answer that the pod was not found or has
// changed; any other error it returns as it is.
func Changed(err error) error {
	if apierrors.IsNotFound(err) || apierrors.IsConflict(err) {
		return fmt.Errorf("%w: %w", ErrChanged, err)
	}
	return err
}

// Definite reports whether the API server answered: without an answer the
// call may have been carried out, or may still be.
func Definite(err error) bool {
	var status apierrors.APIStatus
	return errors.As(err, &status) && status.Status().Code < http.StatusInternalServerError && status.Status().Code != http.StatusTooManyRequests
}

// Unauthorized reports whether the API server refused a call because we lack a
// right, and not because of what the call was for. Its authorizer's message
// names the verb.
func Unauthorized(err error) bool {
	if !apierrors.IsForbidden(err) {
		return false
	}
	return slices.ContainsFunc([]string{"cannot create resource", "cannot get resource"}, func(message string) bool {
		return strings.Contains(err.Error(), message)
	})
}
