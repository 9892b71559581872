package e2e

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	authenticationv1 "k8s.io/api/authentication/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"heteroaccel.io/e2e/browser"
	"heteroaccel.io/e2e/cluster"
	"heteroaccel.io/e2e/stack"
)

// onlookers: the pages are served to others, and the real API server says who they
// are and what they may list. The base has no right to ask it.
func onlookers(t *testing.T, s *stack.Stack) {
	root, err := cluster.Root()
	if err != nil {
		t.Fatal(err)
	}
	cert, key, err := s.Certificate("extender-pages", "127.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	port, err := cluster.FreePort()
	if err != nil {
		t.Fatal(err)
	}
	s.Process("extender").Stop()
	if err := s.StartExtender(t.Context(), "--tls-cert-file", cert, "--tls-private-key-file", key, fmt.Sprintf("--pages-bind-address=0.0.0.0:%d", port)); err != nil {
		t.Fatal(err)
	}
	defer func() {
		s.Process("extender").Stop()
		if err := s.StartExtender(t.Context()); err != nil {
			t.Error(err)
		}
	}()
	said, err := s.KubectlInput(t.Context(), onlooker, "apply", "-f", "-")
	if err != nil {
		t.Fatalf("kubectl apply: %v: %s", err, said)
	}
	takesPods(t, s, "onlooker")
	get := pagesAs(t, s, fmt.Sprintf("https://127.0.0.1:%d", port))
	if status, body := get(t.Context(), "/pods", true); status != http.StatusServiceUnavailable {
		t.Errorf("without the component's rights: %d %s", status, body)
	}
	rbac := filepath.Join(root, "deploy", "extender-pages", "rbac.yaml")
	if said, err := s.Kubectl(t.Context(), "apply", "-f", rbac); err != nil {
		t.Fatalf("kubectl apply: %v: %s", err, said)
	}
	defer func() {
		if said, err := s.Kubectl(t.Context(), "delete", "-f", rbac); err != nil {
			t.Errorf("kubectl delete: %v: %s", err, said)
		}
	}()
	create(t, s, anyPod("seen", "face-recognition", "any", inNamespace("onlooker")))
	create(t, s, anyPod("unseen", "face-recognition", "any"))
	eventually(t, func(ctx context.Context) error {
		status, body := get(ctx, "/pods", true)
		if status != http.StatusOK || !strings.Contains(body, "onlooker") || !strings.Contains(body, " seen ") || !strings.Contains(body, "NOT SHOWN") || strings.Contains(body, "unseen") {
			return fmt.Errorf("/pods: %d %s", status, body)
		}
		return nil
	})
	for path, want := range map[string]int{"/pods/onlooker/seen": 200, "/pods/default/unseen": 403, "/nodes": 403, "/profiles": 200, "/scheduler/config": 200} {
		if status, body := get(t.Context(), path, true); status != want || strings.Contains(body, "unseen") && !strings.Contains(path, "unseen") {
			t.Errorf("%s: %d, want %d: %s", path, status, want, body)
		}
	}
	// The command line program sends the token, and reports what is left out.
	there := []string{"--extender-url", fmt.Sprintf("https://127.0.0.1:%d", port), "--extender-ca", s.CA(), "--token", onlookersToken(t, s)}
	for command, want := range map[string]string{
		"explain seen -n onlooker": "pod          onlooker/seen\n", "queue": "not all is shown: pods of namespaces",
		"explain unseen": `the extender refuses: you may not list pods in namespace "default"`, "top": "the extender refuses: you may not list nodes",
	} {
		if out, _ := run(t, s, append(strings.Fields(command), there...)...); !strings.Contains(out, want) {
			t.Errorf("heteroaccel %s prints no %q, but\n%s", command, want, out)
		}
	}
	if status, body := get(t.Context(), "/pods", false); status != http.StatusUnauthorized {
		t.Errorf("without a token: %d %s", status, body)
	}
	looksWithToken(t, s, fmt.Sprintf("https://127.0.0.1:%d/ui", port))
}

// looksWithToken: the live page itself is everybody's. It asks for a token, and shows what
// its owner may list.
func looksWithToken(t *testing.T, s *stack.Stack, url string) {
	t.Helper()
	page, err := browser.Open(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer page.Close()
	axe, err := browser.InstallAxe(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	w := &watcher{page, axe, t}
	w.reads("#connection", "a token is needed")
	w.reads("#token-form", "A token that the API server knows")
	w.picture("token", browser.Look{Width: 800, Height: 600})
	// The form is hidden while the API server is asked about a token.
	for _, token := range []string{"no-token-of-anybody", onlookersToken(t, s)} {
		eventually(t, func(context.Context) error { return page.Type("#token", token) })
	}
	// On a busy computer a key may be lost: then the page asks again.
	eventually(t, func(context.Context) error {
		said, err := browser.Evaluate[string](page, `document.getElementById("connection").textContent`)
		if err == nil && !strings.Contains(said, "live") {
			err = errors.Join(fmt.Errorf("the page reads %q", said), page.Type("#token", onlookersToken(t, s)))
		}
		return err
	})
	w.reads("#connection", "live")
	w.reads("#decisions", "onlooker/seen", "!unseen")
	w.reads("#problems", "Not shown", "nodes, which you may not list")
	w.reads("body", "!unseen", "!default/")
	if errs := page.Errors(); len(errs) > 0 {
		t.Errorf("the page wrote to its console: %s", strings.Join(errs, "\n"))
	}
}

func onlookersToken(t *testing.T, s *stack.Stack) string {
	t.Helper()
	token, err := s.Client().CoreV1().ServiceAccounts("onlooker").CreateToken(t.Context(), "onlooker", &authenticationv1.TokenRequest{}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return token.Status.Token
}

// pagesAs gets pages with a token of the onlooker, or without one.
func pagesAs(t *testing.T, s *stack.Stack, at string) func(ctx context.Context, path string, token bool) (int, string) {
	t.Helper()
	token := onlookersToken(t, s)
	ca, err := os.ReadFile(s.CA())
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(ca)
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}}
	t.Cleanup(transport.CloseIdleConnections)
	client := &http.Client{Transport: transport}
	return func(ctx context.Context, path string, withToken bool) (int, string) {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, at+path, nil)
		if err != nil {
			return 0, err.Error()
		}
		if withToken {
			req.Header.Set("Authorization", "Bearer "+token)
		}
		resp, err := client.Do(req)
		if err != nil {
			return 0, err.Error()
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		if err != nil {
			return 0, err.Error()
		}
		return resp.StatusCode, string(body)
	}
}

// onlooker may list the pods of its namespace, and profiles.
const onlooker = `
apiVersion: v1
kind: Namespace
metadata: {name: onlooker}
---
apiVersion: v1
kind: ServiceAccount
metadata: {name: onlooker, namespace: onlooker}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: onlooker, namespace: onlooker}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: view}
subjects: [{kind: ServiceAccount, name: onlooker, namespace: onlooker}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: onlooker}
rules: [{apiGroups: [heteroaccel.io], resources: [inferenceprofiles], verbs: [list]}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: onlooker}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: onlooker}
subjects: [{kind: ServiceAccount, name: onlooker, namespace: onlooker}]
`
