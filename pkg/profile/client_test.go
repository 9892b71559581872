package profile_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"

	"k8s.io/client-go/rest"

	"heteroaccel.io/pkg/profile"
	"heteroaccel.io/pkg/profile/v1alpha1"
)

// apiServer serves updates of profiles' status.
type apiServer struct {
	*httptest.Server

	mu      sync.Mutex
	updates []string // their bodies
}

const path = "/apis/heteroaccel.io/v1alpha1/inferenceprofiles"

func startAPIServer(t *testing.T) *apiServer {
	s := &apiServer{}
	mux := http.NewServeMux()
	mux.HandleFunc("PUT "+path+"/{name}/status", func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		s.mu.Lock()
		s.updates = append(s.updates, string(body))
		s.mu.Unlock()
		w.Header().Set("Content-Type", r.Header.Get("Content-Type"))
		_, _ = w.Write(body)
	})
	s.Server = httptest.NewServer(mux)
	t.Cleanup(s.Close)
	return s
}

func (s *apiServer) client(t *testing.T) *profile.Client {
	t.Helper()
	// Protobuf is what a config made for core resources asks for.
	c, err := profile.NewClient(&rest.Config{
		Host:          s.URL,
		ContentConfig: rest.ContentConfig{ContentType: "application/vnd.kubernetes.protobuf"},
	})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestWriteStatus(t *testing.T) {
	server := startAPIServer(t)
	client := server.client(t)
	in := gpuAndCPU()
	in.Generation = 3
	if err := client.WriteStatus(t.Context(), in); err != nil {
		t.Fatal(err)
	}
	if len(server.updates) != 1 {
		t.Fatalf("%d updates, want 1", len(server.updates))
	}
	sent := &v1alpha1.InferenceProfile{}
	if err := json.Unmarshal([]byte(server.updates[0]), sent); err != nil {
		t.Fatal(err)
	}
	if got := sent.Status; got.Accelerators != "GPU,CPU" || got.ObservedGeneration != 3 || sent.Kind != "InferenceProfile" {
		t.Errorf("sent %s", server.updates[0])
	}
	if in.Status.Accelerators != "" {
		t.Error("the caller's object was changed")
	}
	if err := client.WriteStatus(t.Context(), sent); err != nil || len(server.updates) != 1 {
		t.Errorf("a status that is up to date was sent again: %v", err)
	}
}
