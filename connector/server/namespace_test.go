package server

import (
	"errors"
	"testing"

	"heteroaccel.io/pkg/profile"
)

// TestNamespaceRefuses: what the namespace of the servers may not use is refused at
// once, in the words of whoever knows why, and nothing is created.
func TestNamespaceRefuses(t *testing.T) {
	k, s := door(t, func(c *Config) {
		c.Allowed = func(p *profile.Profile) error { return errors.New("namespace s does not allow " + p.Name) }
	})
	a := ask(t, s, "POST", "/v1/sessions", "camera", faceRequest)
	if a.StatusCode != 409 || a.problem.Detail != "namespace s does not allow face-recognition" {
		t.Errorf("%d: %s", a.StatusCode, a.text)
	}
	if n := k.Count("camera"); n > 0 {
		t.Errorf("%d sessions were created", n)
	}
}
