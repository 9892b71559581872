package e2e

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"heteroaccel.io/e2e/cluster"
	"heteroaccel.io/e2e/schemathesis"
	"heteroaccel.io/e2e/stack"
)

// TestClientCA: the API server, with the files of deploy/apiserver, is served, and
// nobody else is.
func TestClientCA(t *testing.T) {
	s := borrow(t, authenticated)
	other := selfSigned(t, filepath.Join(t.TempDir(), "other"), "front-proxy-client")
	p := create(t, s, anyPod("served", "face-recognition", "any"))
	wantKind(t, p, "GPU")
	roots := webhookClient(t, s).Transport.(*http.Transport).TLSClientConfig.RootCAs
	for name, config := range map[string]*tls.Config{
		"none":    {RootCAs: roots},
		"another": {RootCAs: roots, Certificates: []tls.Certificate{other}},
	} {
		body := strings.NewReader(`{"kind":"AdmissionReview"}`)
		code, answer := post(t, clientWith(t, config), http.MethodPost, s.ReviewURL("webhook", "/mutate"), "application/json", body)
		if wantFailure(t, code, http.StatusUnauthorized, answer); !strings.Contains(string(answer), "from the API server alone") {
			t.Errorf("with the certificate %s: %s", name, answer)
		}
	}
	for _, path := range []string{"/readyz", "/healthz", "/metrics"} {
		if _, err := stack.Get(t.Context(), s.URL("webhook status", path)); err != nil {
			t.Errorf("%s: %v", path, err)
		}
	}
}

// withClientCA configures the API server by the files of deploy/apiserver, and the
// webhook to serve nobody else.
func withClientCA(t *testing.T, cfg *stack.Config) {
	t.Helper()
	dir := scratch
	selfSigned(t, filepath.Join(dir, "front-proxy-client"), "front-proxy-client")
	root, err := cluster.Root()
	if err != nil {
		t.Fatal(err)
	}
	for name, paths := range map[string]*strings.Replacer{
		"admission.yaml": strings.NewReplacer("/etc/kubernetes/admission", dir),
		// The registration here is by URL, and its port is not known yet.
		"webhooks.kubeconfig": strings.NewReplacer("/etc/kubernetes/pki", dir, "name: heteroaccel-webhook.heteroaccel-system.svc", `name: "*"`),
	} {
		shipped, err := os.ReadFile(filepath.Join(root, "deploy", "apiserver", name))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(paths.Replace(string(shipped))), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cfg.APIServer = []string{"--admission-control-config-file=" + filepath.Join(dir, "admission.yaml")}
	cfg.Webhook = []string{"--client-ca-file=" + filepath.Join(dir, "front-proxy-client.crt"), "--client-allowed-names=front-proxy-client"}
}

// selfSigned writes BASE.crt and BASE.key of a client, which is its own CA.
func selfSigned(t *testing.T, base, name string) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	for file, block := range map[string]*pem.Block{base + ".crt": {Type: "CERTIFICATE", Bytes: der}, base + ".key": {Type: "PRIVATE KEY", Bytes: private}} {
		if err := os.WriteFile(file, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

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
