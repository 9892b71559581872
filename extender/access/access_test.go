package access

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/rs/zerolog"
	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"
)

// page says what whoever asks may list.
var page = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
	pods, err := MayList(r, schema.GroupResource{Resource: "pods"}, "lab")
	nodes, errNodes := MayList(r, schema.GroupResource{Resource: "nodes"}, "")
	fmt.Fprintf(w, "pods %v, nodes %v, %v", pods, nodes, errors.Join(err, errNodes))
})

func ask(h http.Handler, edit func(*http.Request)) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodGet, "/pods", nil)
	r.Host = "127.0.0.1:8889"
	edit(r)
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

// TestLocal: what reaches the loopback address under another name comes from a web
// page, not from a person.
func TestLocal(t *testing.T) {
	for host, want := range map[string]int{
		"127.0.0.1:8889": 200, "127.0.0.1": 200, "localhost:9000": 200, "localhost": 200, "[::1]:8889": 200, "[::1]": 200, "127.8.8.8:1": 200,
		"evil.example:8889": 403, "evil.example": 403, "10.0.0.1:8889": 403, "localhost.evil.example:8889": 403, "": 403, "[::1": 403,
	} {
		w := ask(Local(page), func(r *http.Request) { r.Host = host })
		if w.Code != want || want == 200 && w.Body.String() != "pods true, nodes true, <nil>" || want == 403 && !strings.Contains(w.Body.String(), "kubectl port-forward") {
			t.Errorf("%q: %d %s, want %d", host, w.Code, w.Body, want)
		}
	}
}

// TestNobodyAsked: a page that is served without either shows nothing.
func TestNobodyAsked(t *testing.T) {
	if w := ask(page, func(*http.Request) {}); w.Body.String() != "pods false, nodes false, <nil>" {
		t.Error(w.Body.String())
	}
}

func TestRequire(t *testing.T) {
	client := fake.NewClientset()
	var away error
	client.PrependReactor("create", "tokenreviews", func(a clienttesting.Action) (bool, runtime.Object, error) {
		review := a.(clienttesting.CreateAction).GetObject().(*authenticationv1.TokenReview).DeepCopy()
		review.Status.Authenticated = strings.HasPrefix(review.Spec.Token, "of-")
		review.Status.User.Username = review.Spec.Token
		return true, review, away
	})
	client.PrependReactor("create", "subjectaccessreviews", func(a clienttesting.Action) (bool, runtime.Object, error) {
		review := a.(clienttesting.CreateAction).GetObject().(*authorizationv1.SubjectAccessReview).DeepCopy()
		what := review.Spec.ResourceAttributes
		review.Status.Allowed = review.Spec.User == "of-ada" && what.Verb == "list" && what.Resource == "pods" && what.Namespace == "lab"
		return true, review, away
	})
	var said strings.Builder
	h := New(client, zerolog.New(&said)).Require(page)
	for header, want := range map[string]struct {
		status int
		body   string
	}{
		"Bearer of-ada": {200, "pods true, nodes false, <nil>"},
		"Bearer of-bob": {200, "pods false, nodes false, <nil>"},
		"Bearer wrong":  {401, "send a header Authorization: Bearer TOKEN"},
		"Basic of-ada":  {401, "send a header Authorization: Bearer TOKEN"},
		"":              {401, "send a header Authorization: Bearer TOKEN"},
	} {
		w := ask(h, func(r *http.Request) { r.Header.Set("Authorization", header) })
		if w.Code != want.status || !strings.Contains(w.Body.String(), want.body) {
			t.Errorf("%q: %d %s, want %d %s", header, w.Code, w.Body, want.status, want.body)
		}
		if asks := w.Header().Get("WWW-Authenticate") != ""; asks != (want.status == 401) {
			t.Errorf("%q: WWW-Authenticate %q", header, w.Header().Get("WWW-Authenticate"))
		}
	}
	away = apierrors.NewForbidden(authenticationv1.Resource("tokenreviews"), "", errors.New("no rights"))
	if w := ask(h, func(r *http.Request) { r.Header.Set("Authorization", "Bearer of-eve") }); w.Code != http.StatusServiceUnavailable || !strings.Contains(said.String(), "forbidden") {
		t.Errorf("the API server refuses: %d %s; log: %s", w.Code, w.Body, said.String())
	}
}
