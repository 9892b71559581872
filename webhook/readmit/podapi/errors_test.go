package podapi

import (
	"errors"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

func forbid(message string) error {
	return apierrors.NewForbidden(schema.GroupResource{Resource: "pods"}, "p", errors.New(message))
}

func TestUnauthorized(t *testing.T) {
	for message, want := range map[string]bool{
		`User "system:serviceaccount:heteroaccel-system:heteroaccel-webhook" cannot create resource "pods" in API group "" in the namespace "ns"`: true,
		`User "x" cannot get resource "replicasets" in API group "apps" in the namespace "ns"`:                                                    true,
		"maximum cpu usage per Container is 1, but limit is 2":                                                                                    false,
	} {
		if got := Unauthorized(forbid(message)); got != want {
			t.Errorf("%s: %v, want %v", message, got, want)
		}
	}
	if Unauthorized(nil) || Unauthorized(errors.New("cannot create resource")) {
		t.Error("something else is taken for a missing right")
	}
}

// TestChangedIsNoRejection: a pod that is gone or bound is told apart from one that
// must be left alone.
func TestChangedIsNoRejection(t *testing.T) {
	if !errors.Is(ErrChanged, ErrChanged) || Rejected(ErrChanged) || !Rejected(Rejection{"x"}) {
		t.Error("a pod that changed counts as a rejection")
	}
}
