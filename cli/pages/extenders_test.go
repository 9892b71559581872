package pages

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/util/cert"

	"heteroaccel.io/cli/pages/pagestest"
)

// TestPort: where the pages are, by the extender's arguments.
func TestPort(t *testing.T) {
	for name, tt := range map[string]struct {
		args []string
		port int
		err  error
	}{
		"default":          {nil, 8889, nil},
		"another":          {[]string{"--pages-bind-address=127.0.0.1:9000"}, 9000, nil},
		"the last counts":  {[]string{"--pages-bind-address=:8889", "--pages-bind-address=localhost:1"}, 1, nil},
		"for everybody":    {[]string{"--pages-bind-address=:8889"}, 0, ErrProtected},
		"for one network":  {[]string{"--pages-bind-address=10.0.0.1:8889"}, 0, ErrProtected},
		"loopback of IPv6": {[]string{"--pages-bind-address=[::1]:8889"}, 8889, nil},
	} {
		t.Run(name, func(t *testing.T) {
			p := &corev1.Pod{Spec: corev1.PodSpec{Containers: []corev1.Container{{Args: tt.args}}}}
			if port, err := portOf(p); port != tt.port || !errors.Is(err, tt.err) {
				t.Errorf("%d, %v", port, err)
			}
		})
	}
}

// TestFind: pods that are ready are found; what the caller may not do is the API server's
// error.
func TestFind(t *testing.T) {
	for name, tt := range map[string]struct {
		change         func(*pagestest.API)
		ready, unready int
		refused        func(error) bool
	}{
		"none":           {func(*pagestest.API) {}, 0, 0, nil},
		"two of three":   {func(a *pagestest.API) { a.Extenders["a"], a.Extenders["b"], a.Unready = "", "", []string{"c"} }, 2, 1, nil},
		"no list":        {func(a *pagestest.API) { a.MayNot = []string{"list pods"} }, 0, 0, apierrors.IsForbidden},
		"no portforward": {func(a *pagestest.API) { a.MayNot = []string{"create pods/portforward"} }, 0, 0, apierrors.IsForbidden},
		"for others": {func(a *pagestest.API) {
			a.Extenders["a"], a.Args = "", []string{"--pages-bind-address=:8889"}
		}, 0, 0, func(err error) bool { return errors.Is(err, ErrProtected) }},
	} {
		t.Run(name, func(t *testing.T) {
			api := pagestest.New(t)
			tt.change(api)
			found, err := Find(t.Context(), Where{REST: &rest.Config{Host: api.URL}, Namespace: pagestest.Namespace})
			switch {
			case tt.refused != nil:
				if err == nil || !tt.refused(err) {
					t.Errorf("it says %v", err)
				}
			case err != nil || found.Len() != tt.ready || found.Unready() != tt.unready:
				t.Errorf("%+v, %v", found, err)
			}
		})
	}
}

// TestProtected: the pages over HTTPS get the token of the kubeconfig, and nobody else does:
// not one whose certificate is of another CA, nor where the pages send the request on to.
func TestProtected(t *testing.T) {
	other := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		t.Errorf("another server gets the request, with %q", r.Header.Get("Authorization"))
	}))
	defer other.Close()
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.Header.Get("Authorization") != "Bearer mine":
			http.Error(w, "who are you?", http.StatusUnauthorized)
		case r.URL.Path == "/moved":
			http.Redirect(w, r, other.URL, http.StatusFound)
		default:
			_, _ = io.WriteString(w, `{"nodes":[]}`)
		}
	}))
	defer server.Close()
	server.Config.ErrorLog = nil
	ca := filepath.Join(t.TempDir(), "ca.crt")
	text, err := cert.EncodeCertificates(server.Certificate())
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(ca, text, 0o600); err != nil {
		t.Fatal(err)
	}
	read := func(where Where, path string) error {
		where.URL = server.URL
		found, err := Find(t.Context(), where)
		if err != nil {
			return err
		}
		c, err := found.Client(t.Context(), 0)
		if err != nil {
			return err
		}
		_, err = c.JSON(t.Context(), path)
		return err
	}
	mine := &rest.Config{Host: "https://api.invalid", BearerToken: "mine"}
	if err := read(Where{REST: mine, CA: ca}, "/nodes"); err != nil {
		t.Error(err)
	}
	for want, where := range map[string]Where{
		"401":         {REST: &rest.Config{Host: "https://api.invalid"}, CA: ca},
		"certificate": {REST: mine},
		"--as":        {REST: &rest.Config{BearerToken: "mine", Impersonate: rest.ImpersonationConfig{UserName: "somebody"}}, CA: ca},
	} {
		if err := read(where, "/nodes"); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("want %s: %v", want, err)
		}
	}
	if err := read(Where{REST: mine, CA: ca}, "/moved"); err == nil || !strings.Contains(err.Error(), "302") {
		t.Errorf("sent on: %v", err)
	}
}
