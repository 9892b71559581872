package profile_test

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"

	"heteroaccel.io/pkg/profile"
	"heteroaccel.io/pkg/profile/v1alpha1"
)

// apiServer serves what a reflector and WriteStatus request: a list of profiles,
// one watch whose events the test sends, and updates of the status.
type apiServer struct {
	*httptest.Server
	events chan metav1.WatchEvent

	mu      sync.Mutex
	updates []string // bodies of the status updates
}

const path = "/apis/heteroaccel.io/v1alpha1/inferenceprofiles"

func startAPIServer(t *testing.T, items ...v1alpha1.InferenceProfile) *apiServer {
	s := &apiServer{events: make(chan metav1.WatchEvent)}
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+path, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		switch q := r.URL.Query(); {
		case q.Get("sendInitialEvents") != "":
			w.WriteHeader(http.StatusUnprocessableEntity) // a server that cannot stream lists
		case q.Get("watch") == "":
			list := v1alpha1.InferenceProfileList{Items: items}
			list.APIVersion, list.Kind, list.ResourceVersion = v1alpha1.SchemeGroupVersion.String(), "InferenceProfileList", "1"
			_ = json.NewEncoder(w).Encode(list)
		default:
			w.WriteHeader(http.StatusOK)
			w.(http.Flusher).Flush()
			for {
				select {
				case e := <-s.events:
					_ = json.NewEncoder(w).Encode(e)
					w.(http.Flusher).Flush()
				case <-r.Context().Done():
					return
				}
			}
		}
	})
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

// event is a watch event about in.
func event(t *testing.T, kind string, in *v1alpha1.InferenceProfile, version string) metav1.WatchEvent {
	t.Helper()
	in = in.DeepCopy()
	in.APIVersion, in.Kind, in.ResourceVersion = v1alpha1.SchemeGroupVersion.String(), "InferenceProfile", version
	raw, err := json.Marshal(in)
	if err != nil {
		t.Fatal(err)
	}
	e := metav1.WatchEvent{Type: kind}
	e.Object.Raw = raw
	return e
}

func TestInformerFeedsStore(t *testing.T) {
	listed := gpuAndCPU()
	listed.ManagedFields = []metav1.ManagedFieldsEntry{{Manager: "kubectl"}}
	server := startAPIServer(t, *listed)
	informer, err := profile.NewInformer(server.client(t))
	if err != nil {
		t.Fatal(err)
	}
	store, reports := profile.NewStore(), make(chan error, 8)
	if _, err := informer.AddEventHandler(store.Handler(func(err error) { reports <- err })); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); informer.RunWithContext(ctx) }()
	defer func() { cancel(); <-done }()

	poll(t, "the listed profile", func() bool { _, ok := store.Get("face-recognition"); return ok })
	if obj := informer.GetStore().List()[0].(*v1alpha1.InferenceProfile); obj.ManagedFields != nil {
		t.Error("the informer keeps managed fields")
	}

	added := gpuAndCPU()
	added.Name = "text-recognition"
	server.events <- event(t, "ADDED", added, "2")
	poll(t, "the added profile", func() bool { _, ok := store.Get("text-recognition"); return ok })

	added.Spec.Variants[0].Image = ""
	server.events <- event(t, "MODIFIED", added, "3")
	poll(t, "the broken profile to go", func() bool { _, ok := store.Get("text-recognition"); return !ok })
	select {
	case err := <-reports:
		t.Log(err)
	case <-time.After(10 * time.Second):
		t.Error("nobody was told of the broken profile")
	}

	server.events <- event(t, "DELETED", listed, "4")
	poll(t, "the deleted profile to go", func() bool { return len(store.Names()) == 0 })
}

func TestHandlerTakesTombstones(t *testing.T) {
	store := profile.NewStore()
	h := store.Handler(nil)
	h.OnAdd(gpuAndCPU(), true)
	h.OnDelete(cache.DeletedFinalStateUnknown{Key: "face-recognition"})
	if len(store.Names()) > 0 {
		t.Error("the profile is still there")
	}
	broken := gpuAndCPU()
	broken.Spec.Variants = nil
	h.OnAdd(broken, false) // nobody to report to
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
		t.Error("the informer's object was changed")
	}
	if err := client.WriteStatus(t.Context(), sent); err != nil || len(server.updates) != 1 {
		t.Errorf("a status that is up to date was sent again: %v", err)
	}
}

// poll waits for what until a deadline.
func poll(t *testing.T, what string, done func() bool) {
	t.Helper()
	err := wait.PollUntilContextTimeout(t.Context(), 5*time.Millisecond, 10*time.Second, true,
		func(context.Context) (bool, error) { return done(), nil })
	if err != nil {
		t.Fatalf("waited in vain for %s", what)
	}
}
