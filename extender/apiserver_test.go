package main

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes/scheme"
)

// apiServer knows the token "of-ada", and lets ada list the pods of lab.
func apiServer(t *testing.T) string {
	t.Helper()
	answer := func(w http.ResponseWriter, r *http.Request, review runtime.Object, judge func()) {
		body, err := io.ReadAll(r.Body)
		if err == nil { // protobuf
			_, _, err = scheme.Codecs.UniversalDeserializer().Decode(body, nil, review)
		}
		if err != nil {
			t.Error(err)
		}
		judge()
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusCreated)
		if err := json.NewEncoder(w).Encode(review); err != nil {
			t.Error(err)
		}
	}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /apis/authentication.k8s.io/v1/tokenreviews", func(w http.ResponseWriter, r *http.Request) {
		var review authenticationv1.TokenReview
		answer(w, r, &review, func() {
			if review.Spec.Token == "of-ada" {
				review.Status = authenticationv1.TokenReviewStatus{Authenticated: true, User: authenticationv1.UserInfo{Username: "ada"}}
			}
		})
	})
	mux.HandleFunc("POST /apis/authorization.k8s.io/v1/subjectaccessreviews", func(w http.ResponseWriter, r *http.Request) {
		var review authorizationv1.SubjectAccessReview
		answer(w, r, &review, func() {
			what := review.Spec.ResourceAttributes
			review.Status.Allowed = review.Spec.User == "ada" && what.Resource == "pods" && what.Namespace == "lab"
		})
	})
	s := httptest.NewServer(mux)
	t.Cleanup(s.Close)
	return s.URL
}
