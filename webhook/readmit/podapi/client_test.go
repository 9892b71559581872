package podapi

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rs/zerolog"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
)

// TestPatchMetadata: a change is bound to the very pod that was looked at.
func TestPatchMetadata(t *testing.T) {
	var path string
	var got map[string]any
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		path = r.Method + " " + r.URL.Path
		if err := json.Unmarshal(body, &got); err != nil {
			t.Errorf("decode %s: %v", body, err)
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"apiVersion":"v1","kind":"Pod","metadata":{"name":"p","namespace":"ns"}}`)
	}))
	defer server.Close()
	client, err := kubernetes.NewForConfig(&rest.Config{Host: server.URL})
	if err != nil {
		t.Fatal(err)
	}
	c := &Client{Interface: client, Log: zerolog.Nop()}
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "p", UID: "uid", ResourceVersion: "7"}}
	if err := c.PatchMetadata(t.Context(), pod, map[string]any{"labels": map[string]any{"a": nil}}); err != nil {
		t.Fatal(err)
	}
	want := map[string]any{"metadata": map[string]any{"uid": "uid", "resourceVersion": "7", "labels": map[string]any{"a": nil}}}
	if diff := cmp.Diff(want, got); diff != "" || path != "PATCH /api/v1/namespaces/ns/pods/p" {
		t.Errorf("%s (-want +got):\n%s", path, diff)
	}
}
