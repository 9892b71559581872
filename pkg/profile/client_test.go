package profile_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
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
	if err := client.WriteStatus(t.Context(), in, bothHaveNodes()); err != nil {
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
	if err := client.WriteStatus(t.Context(), sent, bothHaveNodes()); err != nil || len(server.updates) != 1 {
		t.Errorf("a status that is up to date was sent again: %v", err)
	}
}

// TestLateBindingCondition: a profile that asks for late binding says whether its
// variants can share a pod, and another says nothing of it.
func TestLateBindingCondition(t *testing.T) {
	server := startAPIServer(t)
	client := server.client(t)
	in := gpuAndCPU()
	write := func() *metav1.Condition {
		t.Helper()
		n := len(server.updates)
		if err := client.WriteStatus(t.Context(), in, bothHaveNodes()); err != nil {
			t.Fatal(err)
		}
		if len(server.updates) != n+1 {
			t.Fatalf("%d updates, want 1", len(server.updates)-n)
		}
		next := &v1alpha1.InferenceProfile{}
		if err := json.Unmarshal([]byte(server.updates[n]), next); err != nil {
			t.Fatal(err)
		}
		in = next
		in.Generation++
		return meta.FindStatusCondition(in.Status.Conditions, "LateBinding")
	}
	if c := write(); c != nil {
		t.Errorf("a profile without DeviceClasses has %+v", c)
	}
	in.Spec.Variants[0].DeviceClassName = "gpu.example.com"
	const noClass = "pods are bound early: the CPU variant names no deviceClassName: give each variant one, the CPU's too"
	if c := write(); c == nil || c.Status != metav1.ConditionFalse || c.Reason != "VariantsDiffer" || c.Message != noClass {
		t.Errorf("with one class there is %+v, want %q", c, noClass)
	}
	in.Spec.Variants[1].DeviceClassName = "cpu.example.com"
	if c := write(); c == nil || c.Status != metav1.ConditionTrue || c.ObservedGeneration != in.Generation-1 {
		t.Errorf("with both there is %+v", c)
	}
	in.Spec.Variants[1].Args = []string{"--threads=4"}
	if c := write(); c == nil || c.Status != metav1.ConditionFalse || !strings.Contains(c.Message, "args differs between the CPU variant") {
		t.Errorf("with other arguments there is %+v", c)
	}
	in.Spec.Variants[0].DeviceClassName, in.Spec.Variants[1].DeviceClassName = "", ""
	if c := write(); c != nil {
		t.Errorf("without classes again there is %+v", c)
	}
	in.Spec.Binding = "late"
	if c := write(); c == nil || c.Status != metav1.ConditionFalse {
		t.Errorf("late without classes there is %+v", c)
	}
}
