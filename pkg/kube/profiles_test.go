package kube

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"heteroaccel.io/pkg/inventory"
	"heteroaccel.io/pkg/profile"
	"heteroaccel.io/pkg/profile/v1alpha1"
	"heteroaccel.io/pkg/record"
	"heteroaccel.io/pkg/serve/servetest"
)

// startProfileServer answers a list of profiles, and one watch with the events
// that the test sends.
func startProfileServer(t *testing.T, events chan metav1.WatchEvent, items ...v1alpha1.InferenceProfile) string {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /apis/heteroaccel.io/v1alpha1/inferenceprofiles", func(w http.ResponseWriter, r *http.Request) {
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
				case e := <-events:
					_ = json.NewEncoder(w).Encode(e)
					w.(http.Flusher).Flush()
				case <-r.Context().Done():
					return
				}
			}
		}
	})
	s := httptest.NewServer(mux)
	t.Cleanup(s.Close)
	return s.URL
}

// crdServer is an API server whose CRD comes and goes.
type crdServer struct {
	installed atomic.Bool
	lists     atomic.Int32
	mu        sync.Mutex
	watches   []func() // end them
}

func (s *crdServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	streams := r.URL.Query().Get("sendInitialEvents") != ""
	switch {
	case !s.installed.Load(): // as the API server answers for a path that it does not know
		if !streams {
			s.lists.Add(1)
		}
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		http.Error(w, "404 page not found", http.StatusNotFound)
	case streams:
		w.WriteHeader(http.StatusUnprocessableEntity)
	case r.URL.Query().Get("watch") == "":
		list := v1alpha1.InferenceProfileList{Items: []v1alpha1.InferenceProfile{*profileOf("face")}}
		list.APIVersion, list.Kind, list.ResourceVersion = v1alpha1.SchemeGroupVersion.String(), "InferenceProfileList", "1"
		_ = json.NewEncoder(w).Encode(list)
	default:
		ctx, end := context.WithCancel(r.Context())
		defer end()
		s.mu.Lock()
		s.watches = append(s.watches, end)
		s.mu.Unlock()
		w.WriteHeader(http.StatusOK)
		w.(http.Flusher).Flush()
		<-ctx.Done()
	}
}

// uninstall deletes the CRD; the API server then ends all watches.
func (s *crdServer) uninstall() {
	s.installed.Store(false)
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, end := range s.watches {
		end()
	}
	s.watches = nil
}

// TestProfilesWithoutCRD: that there are none is known and said once, and profiles come
// back when the CRD does.
func TestProfilesWithoutCRD(t *testing.T) {
	var api crdServer
	server := httptest.NewServer(&api)
	t.Cleanup(server.Close)
	client, err := profile.NewClient(&rest.Config{Host: server.URL})
	if err != nil {
		t.Fatal(err)
	}
	store, reports := profile.NewStore(), make(chan error, 8)
	feed := Profiles(client, store, func(err error) { reports <- err })
	if feed.Synced() == nil {
		t.Error("profiles are known before the API server was asked")
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); _ = feed.Run(ctx) }()
	defer func() { cancel(); <-done }()

	want := func(when string, installed bool) {
		t.Helper()
		servetest.Eventually(t, when, func() bool {
			_, stored := store.Get("face")
			return feed.Synced() == nil && stored == installed && errors.Is(store.CRD(), profile.ErrNoCRD) != installed
		})
	}
	for range 2 {
		lists := api.lists.Load()
		want("the CRD is missing", false)
		if err := feed.Refresh(ctx); err != nil {
			t.Errorf("a term that begins without the CRD: %v", err)
		}
		servetest.Eventually(t, "it asks again", func() bool { return api.lists.Load() >= lists+2 })
		api.installed.Store(true)
		want("the CRD is installed", true)
		api.uninstall()
	}
	want("the CRD was deleted", false)
	if n := len(reports); n != 3 {
		t.Errorf("it was reported %d times, want 3", n)
	}
	if err := <-reports; err.Error() != "the CRD inferenceprofiles.heteroaccel.io is not installed: install it with kubectl apply --server-side -k deploy/base/crd" {
		t.Errorf("report %q", err)
	}
}

// TestProfilesUnreadable: an API server that does not answer is not one without the CRD.
func TestProfilesUnreadable(t *testing.T) {
	for _, code := range []int{http.StatusForbidden, http.StatusServiceUnavailable, http.StatusInternalServerError} {
		asked := make(chan struct{}, 100)
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(code)
			asked <- struct{}{}
		}))
		client, err := profile.NewClient(&rest.Config{Host: server.URL})
		if err != nil {
			t.Fatal(err)
		}
		store := profile.NewStore()
		feed := Profiles(client, store, func(err error) { t.Error(err) })
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { defer close(done); _ = feed.Run(ctx) }()
		for range 3 {
			<-asked
		}
		if feed.Synced() == nil || store.CRD() != nil {
			t.Errorf("%d: synced %v, CRD %v", code, feed.Synced(), store.CRD())
		}
		cancel()
		<-done
		server.Close()
	}
}

// watchEvent is a watch event about in.
func watchEvent(t *testing.T, kind string, in *v1alpha1.InferenceProfile, version string) metav1.WatchEvent {
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

func profileOf(name string) *v1alpha1.InferenceProfile {
	return &v1alpha1.InferenceProfile{
		ObjectMeta: metav1.ObjectMeta{Name: name, ManagedFields: []metav1.ManagedFieldsEntry{{Manager: "kubectl"}}},
		Spec: v1alpha1.InferenceProfileSpec{Variants: []v1alpha1.Variant{{
			Accelerator: "GPU", Image: "image",
			Limits: map[corev1.ResourceName]v1alpha1.Amount{"gpu.intel.com/i915": resource.MustParse("1")},
		}}},
	}
}

// TestProfiles: what is written reaches the store and everybody behind it, and
// one that is no longer valid leaves the store.
func TestProfiles(t *testing.T) {
	events := make(chan metav1.WatchEvent)
	// Protobuf is what a config made for core resources asks for.
	config := &rest.Config{Host: startProfileServer(t, events, *profileOf("face")), ContentConfig: rest.ContentConfig{ContentType: "application/vnd.kubernetes.protobuf"}}
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	profiles, err := profile.NewClient(config)
	if err != nil {
		t.Fatal(err)
	}
	store, reports := profile.NewStore(), make(chan error, 8)
	feeds := NewFeeds(client, profiles, inventory.New(inventory.Options{}), store, func() *record.Keys { return testKey }, func(err error) { reports <- err })
	told := make(chan string, 8)
	feeds.Profiles.Register(
		func(in *v1alpha1.InferenceProfile) {
			if in.ManagedFields != nil {
				t.Error("managed fields are kept")
			}
			if _, stored := store.Get(in.Name); stored != (len(in.Spec.Variants) > 0) {
				t.Errorf("%s: the store was not first", in.Name)
			}
			told <- "set " + in.Name
		},
		func(name types.NamespacedName) { told <- "remove " + name.Name })
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); _ = feeds.Profiles.Run(ctx) }()
	defer func() { cancel(); <-done }()

	stored := func(name string) func() bool { return func() bool { _, ok := store.Get(name); return ok } }
	servetest.Eventually(t, "the listed profile", stored("face"))
	servetest.Eventually(t, "the end of the list", func() bool { return feeds.Profiles.Synced() == nil })

	text := profileOf("text")
	events <- watchEvent(t, "ADDED", text, "2")
	servetest.Eventually(t, "the added profile", stored("text"))

	text.Spec.Variants = nil
	events <- watchEvent(t, "MODIFIED", text, "3")
	servetest.Eventually(t, "the invalid profile to go", func() bool { return !stored("text")() })
	select {
	case err := <-reports:
		t.Log(err)
	case <-time.After(10 * time.Second):
		t.Error("the invalid profile was not reported")
	}

	events <- watchEvent(t, "DELETED", profileOf("face"), "4")
	servetest.Eventually(t, "the deleted profile to go", func() bool { return len(store.Names()) == 0 })
	for _, want := range []string{"set face", "set text", "set text", "remove face"} {
		select {
		case got := <-told:
			if got != want {
				t.Errorf("told %q, want %q", got, want)
			}
		case <-time.After(10 * time.Second):
			t.Fatalf("nobody was told %q", want)
		}
	}
}
