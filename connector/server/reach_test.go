package server

import (
	"net/http"
	"strings"
	"testing"

	"heteroaccel.io/connector/session"
)

// TestGatewayMissing: who would be reached by a Gateway that the connector does
// not have is told so, whether the flag says it or the profile.
func TestGatewayMissing(t *testing.T) {
	byProfile := func(reach session.Reach) func(*Config) {
		return func(c *Config) {
			p, _ := c.Profiles.Get("face-recognition")
			next := *p
			next.ServerAddress = string(reach)
			c.Profiles.Set(&next)
		}
	}
	with := func(c *Config) { c.Gateway = true }
	tests := map[string]struct {
		change []func(*Config)
		status int
	}{
		"flag":               {[]func(*Config){func(c *Config) { c.Reach = session.ReachGateway }}, http.StatusConflict},
		"profile":            {[]func(*Config){byProfile(session.ReachGateway)}, http.StatusConflict},
		"profile, Gateway":   {[]func(*Config){byProfile(session.ReachGateway), with}, http.StatusCreated},
		"Gateway, no use":    {[]func(*Config){with}, http.StatusCreated},
		"profile overrides":  {[]func(*Config){func(c *Config) { c.Reach = session.ReachGateway }, byProfile(session.ReachPodIP)}, http.StatusCreated},
		"neither, no matter": {nil, http.StatusCreated},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			k, s := door(t, tt.change...)
			k.Serve(served)
			a := ask(t, s, http.MethodPost, "/v1/sessions", "camera", `{"inference":"face-recognition"}`)
			if a.StatusCode != tt.status || tt.status == http.StatusConflict && !strings.Contains(a.problem.Detail, "start it with --gateway NAMESPACE/NAME") {
				t.Errorf("%d %s, want %d", a.StatusCode, a.text, tt.status)
			}
		})
	}
}

// TestBasePath: address and url of a server behind a Gateway have its path, so
// that who appends the path of an inference to either is right.
func TestBasePath(t *testing.T) {
	k, s := door(t)
	k.Serve("198.51.100.7:80/sessions/face-x")
	a := ask(t, s, http.MethodPost, "/v1/sessions", "camera", `{"inference":"face-recognition"}`).session
	if a.Address != "198.51.100.7:80/sessions/face-x" || a.URL != a.Protocol+"://"+a.Address || a.Protocol != "http" {
		t.Errorf("%+v", a)
	}
}
