package reviews

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"
)

var ada = authenticationv1.UserInfo{
	Username: "ada", UID: "7", Groups: []string{"lab", "system:authenticated"},
	Extra: map[string]authenticationv1.ExtraValue{"scopes": {"a", "b"}},
}

func TestBearer(t *testing.T) {
	for header, want := range map[string]string{
		"": "", "Bearer": "", "Bearer  ": "", "Basic YTpi": "", "Bearer abc": "abc", "bearer  abc ": "abc",
	} {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.Header.Set("Authorization", header)
		if token, ok := Bearer(r); token != want && ok || ok != (want != "") {
			t.Errorf("%q is %q, %v; want %q", header, token, ok, want)
		}
	}
}

// TestUser: the API server's word counts, and is asked for once for each token.
func TestUser(t *testing.T) {
	client := fake.NewClientset()
	var asked []authenticationv1.TokenReviewSpec
	var away error
	client.PrependReactor("create", "tokenreviews", func(a clienttesting.Action) (bool, runtime.Object, error) {
		review := a.(clienttesting.CreateAction).GetObject().(*authenticationv1.TokenReview).DeepCopy()
		asked = append(asked, review.Spec)
		if review.Spec.Token == "good" {
			review.Status = authenticationv1.TokenReviewStatus{Authenticated: true, User: ada}
		}
		return true, review, away
	})
	tokens := NewTokens(client)
	for range 3 {
		if user, err := tokens.User(t.Context(), "good"); err != nil || cmp.Diff(&ada, user) != "" {
			t.Errorf("%v, %v", user, err)
		}
		for _, token := range []string{"bad", "", strings.Repeat("x", longestToken+1)} {
			if user, err := tokens.User(t.Context(), token); user != nil || err != nil {
				t.Errorf("%.10q: %v, %v", token, user, err)
			}
		}
	}
	want := []authenticationv1.TokenReviewSpec{{Token: "good"}, {Token: "bad"}}
	if diff := cmp.Diff(want, asked); diff != "" {
		t.Errorf("asked (-want +got):\n%s", diff)
	}
	away = errors.New("no route")
	if user, err := tokens.User(t.Context(), "new"); user != nil || err == nil {
		t.Errorf("the API server is away: %v, %v", user, err)
	}
}

// TestMayList: everything that the API server knows a user by is passed on, and
// answers for one user, resource or namespace are not those for another.
func TestMayList(t *testing.T) {
	client := fake.NewClientset()
	var asked []authorizationv1.SubjectAccessReviewSpec
	var away error
	client.PrependReactor("create", "subjectaccessreviews", func(a clienttesting.Action) (bool, runtime.Object, error) {
		review := a.(clienttesting.CreateAction).GetObject().(*authorizationv1.SubjectAccessReview).DeepCopy()
		asked = append(asked, review.Spec)
		review.Status.Allowed = review.Spec.User == "ada" && review.Spec.ResourceAttributes.Namespace == "lab"
		return true, review, away
	})
	access := NewAccess(client)
	pods, profiles := schema.GroupResource{Resource: "pods"}, schema.GroupResource{Group: "heteroaccel.io", Resource: "inferenceprofiles"}
	bob, outside := ada, ada
	bob.Username = "bob"
	outside.Groups = nil
	for range 2 {
		for _, q := range []struct {
			user      authenticationv1.UserInfo
			resource  schema.GroupResource
			namespace string
			want      bool
		}{
			{ada, pods, "lab", true}, {ada, pods, "", false}, {ada, profiles, "", false}, {bob, pods, "lab", false}, {outside, pods, "lab", true},
		} {
			if got, err := access.MayList(t.Context(), &q.user, q.resource, q.namespace); got != q.want || err != nil {
				t.Errorf("%s, %s in %q: %v, %v; want %v", q.user.Username, q.resource, q.namespace, got, err, q.want)
			}
		}
	}
	if len(asked) != 5 {
		t.Errorf("the API server was asked %d times, want once for each question", len(asked))
	}
	want := authorizationv1.SubjectAccessReviewSpec{
		User: "ada", UID: "7", Groups: []string{"lab", "system:authenticated"},
		Extra:              map[string]authorizationv1.ExtraValue{"scopes": {"a", "b"}},
		ResourceAttributes: &authorizationv1.ResourceAttributes{Verb: "list", Resource: "pods", Namespace: "lab"},
	}
	if diff := cmp.Diff(want, asked[0]); diff != "" {
		t.Errorf("asked (-want +got):\n%s", diff)
	}
	away = errors.New("no route")
	if ok, err := access.MayList(t.Context(), &ada, pods, "another"); ok || err == nil {
		t.Errorf("the API server is away: %v, %v", ok, err)
	}
	// What was asked before is still known, until it is too old.
	if ok, err := access.MayList(t.Context(), &ada, pods, "lab"); !ok || err != nil {
		t.Errorf("%v, %v", ok, err)
	}
}

// TestKeptIsBounded: whoever asks cannot fill the memory.
func TestKeptIsBounded(t *testing.T) {
	client := fake.NewClientset()
	client.PrependReactor("create", "*", func(a clienttesting.Action) (bool, runtime.Object, error) {
		return true, a.(clienttesting.CreateAction).GetObject(), nil
	})
	tokens, access := NewTokens(client), NewAccess(client)
	for i := range kept + 10 {
		if _, err := tokens.User(t.Context(), strconv.Itoa(i)); err != nil {
			t.Fatal(err)
		}
		if _, err := access.MayList(t.Context(), &ada, schema.GroupResource{Resource: "pods"}, strconv.Itoa(i)); err != nil {
			t.Fatal(err)
		}
	}
	if tokens.known.Len() != kept || access.known.Len() != kept {
		t.Errorf("%d tokens and %d accesses are kept, want %d", tokens.known.Len(), access.known.Len(), kept)
	}
}
