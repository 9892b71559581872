package identity

import (
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"
)

func with(authorization string) *http.Request {
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	if authorization != "" {
		r.Header.Set("Authorization", authorization)
	}
	return r
}

func write(t *testing.T, path, content string, at time.Time) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(path, at, at); err != nil {
		t.Fatal(err)
	}
}

func TestFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "tokens.csv")
	now := time.Unix(1e9, 0)
	write(t, path, "# cameras\n\n secret-1 , camera-1 \nsecret-2,camera-2,uid,\"group\"\n", now)
	f, err := NewFile(path)
	if err != nil {
		t.Fatal(err)
	}
	f.now, f.read = func() time.Time { return now }, now
	for authorization, want := range map[string]string{
		"Bearer secret-1": "camera-1", "bearer  secret-2": "camera-2", "": "", "Bearer": "", "Bearer ": "",
		"Bearer secret-3": "", "Basic secret-1": "", "secret-1": "", "Bearer # cameras": "",
	} {
		client, ok, err := f.Source(with(authorization))
		if client != want || ok != (want != "") || err != nil {
			t.Errorf("%q is %q, %v, %v; want %q", authorization, client, ok, err, want)
		}
	}
	write(t, path, "secret-3,camera-3\n", now.Add(time.Second))
	if client, _, _ := f.Source(with("Bearer secret-1")); client != "camera-1" {
		t.Error("the file was read again at once")
	}
	now = now.Add(2 * recheck)
	if client, _, _ := f.Source(with("Bearer secret-3")); client != "camera-3" {
		t.Errorf("secret-3 is %q after the file changed", client)
	}
	if _, ok, _ := f.Source(with("Bearer secret-1")); ok {
		t.Error("a token that was taken out is still accepted")
	}
	// A file that is away, or spoilt, for a moment keeps its clients.
	write(t, path, "no comma\n", now.Add(time.Second))
	now = now.Add(2 * recheck)
	if client, _, _ := f.Source(with("Bearer secret-3")); client != "camera-3" {
		t.Error("a spoilt file locks everybody out")
	}
}

func TestSpoiltFiles(t *testing.T) {
	for name, content := range map[string]string{"no comma": "secret\n", "no client": "secret,\n", "no token": ",camera\n"} {
		path := filepath.Join(t.TempDir(), "tokens")
		write(t, path, content, time.Unix(1e9, 0))
		if _, err := NewFile(path); err == nil || !strings.Contains(err.Error(), "line 1: write TOKEN,CLIENT") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := NewFile(filepath.Join(t.TempDir(), "none")); err == nil {
		t.Error("a file that is not there was read")
	}
}

// TestReview: the API server's word counts, and is asked for once a minute for
// each token.
func TestReview(t *testing.T) {
	client := fake.NewClientset()
	asked := 0
	var fails error
	client.PrependReactor("create", "tokenreviews", func(a clienttesting.Action) (bool, runtime.Object, error) {
		asked++
		review := a.(clienttesting.CreateAction).GetObject().(*authenticationv1.TokenReview).DeepCopy()
		if review.Spec.Token == "good" {
			review.Status = authenticationv1.TokenReviewStatus{Authenticated: true, User: authenticationv1.UserInfo{Username: "system:serviceaccount:hall:camera"}}
		}
		return true, review, fails
	})
	source := Review(client)
	for range 3 {
		if name, ok, err := source(with("Bearer good")); name != "system:serviceaccount:hall:camera" || !ok || err != nil {
			t.Errorf("%q, %v, %v", name, ok, err)
		}
		if _, ok, err := source(with("Bearer bad")); ok || err != nil {
			t.Errorf("a bad token: %v, %v", ok, err)
		}
		if _, ok, err := source(with("Bearer " + strings.Repeat("x", 9<<10))); ok || err != nil {
			t.Errorf("a token that is too long: %v, %v", ok, err)
		}
		if _, ok, err := source(with("")); ok || err != nil {
			t.Errorf("no token: %v, %v", ok, err)
		}
	}
	if asked != 2 {
		t.Errorf("the API server was asked %d times, want once for each token", asked)
	}
	fails = errors.New("no route")
	if _, ok, err := source(with("Bearer new")); ok || err == nil {
		t.Error("the API server is away, and that is not reported")
	}
}

func TestFirst(t *testing.T) {
	no := func(*http.Request) (string, bool, error) { return "", false, nil }
	broken := func(*http.Request) (string, bool, error) { return "", false, errors.New("away") }
	if client, err := First(no, Anybody("anonymous"), broken)(with("")); client != "anonymous" || err != nil {
		t.Errorf("%q, %v", client, err)
	}
	if _, err := First(no, broken, Anybody("anonymous"))(with("")); err == nil || errors.Is(err, ErrUnknown) {
		t.Errorf("a source that fails counts as one that does not know: %v", err)
	}
	if _, err := First(no)(with("")); !errors.Is(err, ErrUnknown) {
		t.Error(err)
	}
}

func TestCertificate(t *testing.T) {
	r := with("")
	r.TLS = &tls.ConnectionState{PeerCertificates: []*x509.Certificate{{Subject: pkix.Name{CommonName: "camera"}}}}
	if _, ok, _ := Certificate(r); ok {
		t.Error("a certificate that nobody verified counts")
	}
	r.TLS.VerifiedChains = [][]*x509.Certificate{r.TLS.PeerCertificates}
	if name, ok, _ := Certificate(r); name != "camera" || !ok {
		t.Errorf("%q, %v", name, ok)
	}
	if _, ok, _ := Certificate(with("")); ok {
		t.Error("there is no certificate")
	}
}
