package e2e

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"heteroaccel.io/e2e/schemathesis"
	"heteroaccel.io/e2e/stack"
)

// callers: a token of the API server is one as long as the API server accepts it,
// and whoever has another one sees nothing of its sessions.
func callers(t *testing.T, s *stack.Stack) {
	if err := s.StartConnector(t.Context(), "connector-tokens", "--anonymous=false"); err != nil {
		t.Fatal(err)
	}
	defer s.Process("connector-tokens").Kill()
	c := camera{s, "connector-tokens"}
	accounts := s.Client().CoreV1().ServiceAccounts(metav1.NamespaceDefault)
	bearer := func(account string) string {
		t.Helper()
		if _, err := accounts.Create(t.Context(), &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: account}}, metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
		token, err := accounts.CreateToken(t.Context(), account, &authenticationv1.TokenRequest{}, metav1.CreateOptions{})
		if err != nil {
			t.Fatal(err)
		}
		return "Bearer " + token.Status.Token
	}
	hall, gate, late := bearer("hall"), bearer("gate"), bearer("late")
	until := func(expires time.Time) string {
		t.Helper()
		token, err := s.Reissued(strings.TrimPrefix(gate, "Bearer "), expires.Add(-time.Hour), expires)
		if err != nil {
			t.Fatal(err)
		}
		return "Bearer " + token
	}
	if err := accounts.Delete(t.Context(), "late", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	_, a, err := c.ask(t.Context(), http.MethodPost, "/v1/sessions", `{"inference":"face-recognition"}`, "Authorization", hall)
	if err != nil {
		t.Fatal(err)
	}
	one := "/v1/sessions/" + a.ID
	for name, tt := range map[string]struct {
		method, path, token string
		status              int
		says                string
	}{
		"its own":                   {http.MethodGet, one, hall, 200, ""},
		"another client's":          {http.MethodGet, one, gate, 404, "there is no such session, or it has ended"},
		"renews another client's":   {http.MethodPost, one + "/renew", gate, 404, "there is no such session, or it has ended"},
		"ends another client's":     {http.MethodDelete, one, gate, 404, "there is no such session, or it has ended"},
		"watches another client's":  {http.MethodGet, one + "/events", gate, 404, "there is no such session, or it has ended"},
		"no token":                  {http.MethodGet, one, "", 401, "Authorization: Bearer TOKEN"},
		"a made-up token":           {http.MethodGet, one, hall + "x", 401, "Authorization: Bearer TOKEN"},
		"a deleted account's token": {http.MethodGet, one, late, 401, "Authorization: Bearer TOKEN"},
		"an expired token":          {http.MethodGet, one, until(time.Now().Add(-time.Hour)), 401, "Authorization: Bearer TOKEN"},
		"one that has not expired":  {http.MethodGet, one, until(time.Now().Add(time.Minute)), 404, "there is no such session, or it has ended"},
	} {
		code, _, err := c.ask(t.Context(), tt.method, tt.path, "", "Authorization", tt.token)
		if code != tt.status || err != nil && !strings.Contains(err.Error(), tt.says) {
			t.Errorf("%s: %d, %v; want %d and %q", name, code, err, tt.status, tt.says)
		}
	}
	if _, _, err := c.ask(t.Context(), http.MethodDelete, one, "", "Authorization", hall); err != nil {
		t.Error(err)
	}
}

// sessionMetrics: what the alerts look at.
func sessionMetrics(t *testing.T, s *stack.Stack) {
	c := camera{s, "connector"}
	becomes := func(name, why string, want func(float64) bool) {
		t.Helper()
		eventually(t, func(ctx context.Context) error {
			v, err := metricOf(ctx, s, "connector status", name)
			if err == nil && !want(v) {
				err = fmt.Errorf("%s is %v: %s", name, v, why)
			}
			return err
		})
	}
	is := func(want float64) func(float64) bool { return func(v float64) bool { return v == want } }
	above := func(limit float64) func(float64) bool { return func(v float64) bool { return v > limit } }
	becomes("heteroaccel_connector_leading", "it is the only one", is(1))
	becomes("heteroaccel_connector_session_longest_wait_seconds", "nobody waits", is(0))
	if said, err := s.KubectlInput(t.Context(), schemathesis.Profiles, "create", "-f", "-"); err != nil {
		t.Fatalf("%v: %s", err, said)
	}
	defer kubectl(t, s, "delete", "inferenceprofile", "shared", "without-template")
	var all []string
	eventually(t, func(ctx context.Context) error { // until it knows the profile
		_, a, err := c.ask(ctx, http.MethodPost, "/v1/sessions", `{"inference":"shared","accelerator":"cpu"}`, "Prefer", "wait=60")
		if err == nil {
			all = append(all, a.ID)
		}
		return err
	})
	all = append(all, c.create(t, `{"inference":"shared","accelerator":"cpu"}`, true).ID)
	becomes("heteroaccel_connector_sessions_shared", "two share a server", is(2))
	becomes("heteroaccel_connector_sessions_served", "two are served", is(2))
	all = append(all, c.create(t, `{"inference":"shared","accelerator":"fpga"}`, false).ID)
	becomes("heteroaccel_connector_sessions_waiting", "one waits for a device that nobody has", is(1))
	becomes("heteroaccel_connector_session_longest_wait_seconds", "it has waited", above(0.5))

	// Without rights the connector cannot write renewals, and goes on trying.
	kubectl(t, s, "delete", "rolebinding", "heteroaccel-connector", "-n", stack.SessionNamespace)
	if _, _, err := c.ask(t.Context(), http.MethodPost, "/v1/sessions/"+all[0]+"/renew", ""); err != nil {
		t.Fatal(err)
	}
	becomes("heteroaccel_connector_renewal_write_failures_total", "it has no right to", above(0))
	written, err := metricOf(t.Context(), s, "connector status", "heteroaccel_connector_renewal_writes_total")
	if err != nil {
		t.Fatal(err)
	}
	if err := s.InstallConnector(t.Context()); err != nil {
		t.Fatal(err)
	}
	becomes("heteroaccel_connector_renewal_writes_total", "it has the right again", above(written))
	for _, id := range all {
		c.end(t, id)
	}
}
