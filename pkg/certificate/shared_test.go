package certificate

import (
	"bytes"
	"crypto/ed25519"
	"crypto/tls"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func seeds(of ...string) func() [][]byte {
	var all [][]byte
	for _, s := range of {
		all = append(all, bytes.Repeat([]byte(s), ed25519.SeedSize))
	}
	return func() [][]byte { return all }
}

// sharing is a server that serves others too, and says to whom it has the secret in
// common.
func sharing(t *testing.T, s *Shared) *httptest.Server {
	t.Helper()
	mux := http.NewServeMux()
	mux.Handle("/inside", s.Require(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "inside") })))
	mux.HandleFunc("/outside", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "outside") })
	server := httptest.NewUnstartedServer(mux)
	server.TLS = s.Server(&tls.Config{})
	server.StartTLS()
	t.Cleanup(server.Close)
	return server
}

func asked(t *testing.T, config *tls.Config, url string) (status int, err error) {
	t.Helper()
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: config, DisableKeepAlives: true}}
	resp, err := client.Get(url)
	if err != nil {
		return 0, err
	}
	_, err = io.Copy(io.Discard, resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, resp.Body.Close()
}

// TestShared: who has one of the secrets gets in, also while they are being replaced, and
// nobody else does, whatever certificate they show.
func TestShared(t *testing.T) {
	server := sharing(t, SharedBy(seeds("n", "o")))
	for name, tt := range map[string]struct {
		with func() [][]byte
		in   bool
	}{
		"the newest":            {seeds("n"), true},
		"both":                  {seeds("n", "o"), true},
		"both, the other first": {seeds("o", "n"), true},
		"another":               {seeds("x"), false},
		"none":                  {seeds(), false},
	} {
		t.Run(name, func(t *testing.T) {
			status, err := asked(t, SharedBy(tt.with).Client(), server.URL+"/inside")
			if in := err == nil && status == http.StatusOK; in != tt.in {
				t.Errorf("status %d, %v", status, err)
			}
		})
	}
	// A client of the old secret alone does not take a server for it that shows the new
	// one, until it has read that.
	if _, err := asked(t, SharedBy(seeds("o")).Client(), server.URL+"/inside"); err == nil || !strings.Contains(err.Error(), "not the same one yet") {
		t.Errorf("with the old secret alone: %v", err)
	}
}

// TestSharedServesOthers: the others are served as before, and not let in, whatever name
// they ask for.
func TestSharedServesOthers(t *testing.T) {
	shared := SharedBy(seeds("n"))
	server := sharing(t, shared)
	plain := server.Client().Transport.(*http.Transport).TLSClientConfig
	for path, want := range map[string]int{"/outside": http.StatusOK, "/inside": http.StatusForbidden} {
		if status, err := asked(t, plain, server.URL+path); err != nil || status != want {
			t.Errorf("%s: status %d, %v, want %d", path, status, err, want)
		}
	}
	named := plain.Clone()
	named.ServerName, named.InsecureSkipVerify = sharedName, true
	if _, err := asked(t, named, server.URL+"/inside"); err == nil {
		t.Error("without a certificate it was let in")
	}
	// The certificate that the server shows, without its key.
	stolen := named.Clone()
	own, err := shared.certificate()
	if err != nil {
		t.Fatal(err)
	}
	_, another, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	stolen.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
		return &tls.Certificate{Certificate: own.Certificate, PrivateKey: another}, nil
	}
	if _, err := asked(t, stolen, server.URL+"/inside"); err == nil {
		t.Error("with another's certificate it was let in")
	}
	// Who has no secret lets nobody in, and serves the others.
	without := sharing(t, SharedBy(seeds()))
	if _, err := asked(t, SharedBy(seeds("n")).Client(), without.URL+"/inside"); err == nil {
		t.Error("a server without a secret let somebody in")
	}
	if status, err := asked(t, without.Client().Transport.(*http.Transport).TLSClientConfig, without.URL+"/outside"); err != nil || status != http.StatusOK {
		t.Errorf("others: status %d, %v", status, err)
	}
}
