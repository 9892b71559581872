package schemathesis

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"k8s.io/apimachinery/pkg/util/yaml"

	"heteroaccel.io/connector/identity"
	"heteroaccel.io/connector/server"
	"heteroaccel.io/connector/server/servertest"
	"heteroaccel.io/pkg/profile"
	"heteroaccel.io/pkg/profile/v1alpha1"
)

// TestConnector: whatever is sent to the connector's API, its answers are those
// of the document that it serves, and none of them is a server's error.
func TestConnector(t *testing.T) {
	t.Parallel()
	tester, err := Install(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	const token = "token-of-the-camera"
	profiles := profile.NewStore()
	for d := yaml.NewYAMLOrJSONDecoder(strings.NewReader(Profiles), 4096); len(profiles.Names()) < 2; {
		var in v1alpha1.InferenceProfile
		if err := d.Decode(&in); err != nil {
			t.Fatal(err)
		}
		p, err := profile.New(&in)
		if err != nil {
			t.Fatal(err)
		}
		profiles.Set(p)
	}
	sessions := servertest.New()
	api := httptest.NewServer(server.New(server.Config{
		Sessions: sessions, Profiles: profiles,
		Client: func(r *http.Request) (string, error) {
			if r.Header.Get("Authorization") != "Bearer "+token {
				return "", identity.ErrUnknown
			}
			return "camera", nil
		},
		Ready:   func() error { return nil },
		Allowed: func(*profile.Profile) error { return nil },
		Limits:  server.Limits{Sessions: 1e6, Rate: 1e6, Burst: 1e6, TTL: time.Minute, MaxTTL: 24 * time.Hour},
		Version: "test", Log: zerolog.Nop(),
	}))
	defer api.Close()
	go func() { // the first ones wait
		for range 20 {
			<-sessions.Created
		}
		sessions.Serve("10.0.0.7:8080")
	}()
	const fewest = 5000
	began := time.Now()
	requests, err := tester.Connector(t.Context(), api.URL+"/openapi.json", token, fewest)
	if err != nil {
		t.Fatal(err)
	}
	calls := sessions.Calls()
	t.Logf("%d requests in %s: %d sessions, %d renewals, %d ends", requests, time.Since(began).Round(time.Second), calls.Created, calls.Renewed, calls.Ended)
	if requests < fewest || calls.Created == 0 || calls.Renewed == 0 || calls.Ended == 0 {
		t.Errorf("%d requests, want %d and some of each kind", requests, fewest)
	}
}
