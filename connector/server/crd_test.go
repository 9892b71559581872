package server

import (
	"testing"

	"heteroaccel.io/pkg/profile"
)

// TestKnownWithoutCRD: a client that asks for an unknown inference learns that the CRD
// is missing, and how to install it.
func TestKnownWithoutCRD(t *testing.T) {
	profiles := profile.NewStore()
	s := &server{Config: Config{Profiles: profiles}}
	for want, crd := range map[string]error{
		"there is no InferenceProfile yet": nil,
		"the CRD inferenceprofiles.heteroaccel.io is not installed: install it with kubectl apply --server-side -k deploy/base/crd": profile.ErrNoCRD,
	} {
		profiles.SetCRD(crd)
		if got := s.known(); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
