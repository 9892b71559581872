package pagestest

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	authorizationv1 "k8s.io/api/authorization/v1"
	"k8s.io/client-go/kubernetes/scheme"
)

// Namespace is that of the extenders.
const Namespace = "heteroaccel-system"

// Port is that of the extenders' pages.
const Port = "8889"

// API is an API server. Set what it has before a call, or with Change.
type API struct {
	*httptest.Server
	mu sync.Mutex
	// Extenders are the addresses of the extenders that are ready, by the names of pods.
	Extenders map[string]string
	// Unready are pods of others.
	Unready []string
	// Args are those of every extender.
	Args []string
	// MayNot are rights that the caller has not: "list pods", "create pods/portforward".
	MayNot []string
	// Objects are JSON by path.
	Objects map[string]string
	// forwarding are what ends the connections to pods.
	forwarding map[string][]func()
}

// New starts an API server.
func New(tb testing.TB) *API {
	tb.Helper()
	a := &API{Extenders: map[string]string{}, Objects: map[string]string{}, forwarding: map[string][]func(){}}
	a.Server = httptest.NewServer(a)
	tb.Cleanup(a.Close)
	return a
}

// Change changes what it has.
func (a *API) Change(f func()) {
	a.mu.Lock()
	defer a.mu.Unlock()
	f()
}

// Kill ends a pod, and the connections to it.
func (a *API) Kill(pod string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.Extenders, pod)
	for _, end := range a.forwarding[pod] {
		end()
	}
	delete(a.forwarding, pod)
}

const pods = "/api/v1/namespaces/" + Namespace + "/pods"

func (a *API) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if pod, ok := strings.CutSuffix(strings.TrimPrefix(r.URL.Path, pods+"/"), "/portforward"); ok {
		a.forward(w, r, pod)
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	w.Header().Set("Content-Type", "application/json")
	object, there := a.Objects[r.URL.Path]
	switch {
	case strings.HasSuffix(r.URL.Path, "/selfsubjectaccessreviews"):
		a.review(w, r)
	case r.URL.Path == pods && slices.Contains(a.MayNot, "list pods"):
		refuse(w, http.StatusForbidden, "Forbidden", "pods is forbidden")
	case r.URL.Path == pods:
		a.list(w)
	case there:
		_, _ = io.WriteString(w, object)
	default:
		refuse(w, http.StatusNotFound, "NotFound", "there is no "+r.URL.Path)
	}
}

func refuse(w http.ResponseWriter, code int, reason, message string) {
	w.WriteHeader(code)
	fmt.Fprintf(w, `{"kind":"Status","apiVersion":"v1","status":"Failure","message":%q,"reason":%q,"code":%d}`, message, reason, code)
}

func (a *API) review(w http.ResponseWriter, r *http.Request) {
	var review authorizationv1.SelfSubjectAccessReview
	body, _ := io.ReadAll(r.Body) // JSON, or protobuf
	if _, _, err := scheme.Codecs.UniversalDeserializer().Decode(body, nil, &review); err != nil {
		refuse(w, http.StatusBadRequest, "BadRequest", err.Error())
		return
	}
	asked := review.Spec.ResourceAttributes
	review.Status.Allowed = !slices.Contains(a.MayNot, asked.Verb+" "+asked.Resource+"/"+asked.Subresource)
	review.SetGroupVersionKind(authorizationv1.SchemeGroupVersion.WithKind("SelfSubjectAccessReview"))
	w.WriteHeader(http.StatusCreated)
	_ = json.NewEncoder(w).Encode(review)
}

func (a *API) list(w http.ResponseWriter) {
	args, _ := json.Marshal(a.Args)
	var items []string
	add := func(name, ready string) {
		items = append(items, fmt.Sprintf(`{"metadata":{"name":%q},"spec":{"containers":[{"name":"extender","args":%s}]},"status":{"conditions":[{"type":"Ready","status":%q}]}}`, name, args, ready))
	}
	for _, name := range slices.Sorted(maps.Keys(a.Extenders)) {
		add(name, "True")
	}
	for _, name := range a.Unready {
		add(name, "False")
	}
	fmt.Fprintf(w, `{"kind":"PodList","apiVersion":"v1","items":[%s]}`, strings.Join(items, ","))
}
