package profile_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strconv"
	"sync"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"

	"heteroaccel.io/pkg/profile"
	"heteroaccel.io/pkg/profile/v1alpha1"
)

// registry serves one profile and checks versions as the API server does.
type registry struct {
	mu      sync.Mutex
	current v1alpha1.InferenceProfile
	version int
	writes  int
	// between is called after each read, before it is answered.
	between func(r *registry)
	// fails is what a write is answered, 0 for the usual.
	fails int
}

func startRegistry(t *testing.T, in *v1alpha1.InferenceProfile) (*registry, *profile.Client) {
	t.Helper()
	r := &registry{current: *in.DeepCopy(), version: 1}
	r.current.APIVersion, r.current.Kind = v1alpha1.SchemeGroupVersion.String(), "InferenceProfile"
	answer := func(w http.ResponseWriter, code int, body any) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(code)
		_ = json.NewEncoder(w).Encode(body)
	}
	refuse := func(w http.ResponseWriter, code int, reason metav1.StatusReason) {
		answer(w, code, metav1.Status{Status: metav1.StatusFailure, Code: int32(code), Reason: reason})
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+path+"/{name}", func(w http.ResponseWriter, req *http.Request) {
		r.mu.Lock()
		defer r.mu.Unlock()
		if req.PathValue("name") != r.current.Name {
			refuse(w, http.StatusNotFound, metav1.StatusReasonNotFound)
			return
		}
		out := r.current.DeepCopy()
		out.ResourceVersion = strconv.Itoa(r.version)
		if r.between != nil {
			r.between(r)
		}
		answer(w, http.StatusOK, out)
	})
	mux.HandleFunc("PUT "+path+"/{name}/status", func(w http.ResponseWriter, req *http.Request) {
		r.mu.Lock()
		defer r.mu.Unlock()
		sent := &v1alpha1.InferenceProfile{}
		if err := json.NewDecoder(req.Body).Decode(sent); err != nil {
			t.Errorf("decode the update: %v", err)
		}
		switch {
		case r.fails != 0:
			refuse(w, r.fails, metav1.StatusReasonUnknown)
		case sent.ResourceVersion != strconv.Itoa(r.version):
			refuse(w, http.StatusConflict, metav1.StatusReasonConflict)
		default:
			r.version++
			r.writes++
			r.current.Status = sent.Status
			answer(w, http.StatusOK, sent)
		}
	})
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	c, err := profile.NewClient(&rest.Config{Host: server.URL})
	if err != nil {
		t.Fatal(err)
	}
	return r, c
}

// read returns the profile as it is now.
func (r *registry) read() *v1alpha1.InferenceProfile {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.current.DeepCopy()
}
