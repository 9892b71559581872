package controller

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// wireObject is one of the API server's, as it is on the wire.
type wireObject = map[string]any

// apiServer lists, watches, creates, replaces and deletes objects of any type, by
// compare-and-swap.
type apiServer struct {
	*httptest.Server
	t *testing.T

	mu      sync.Mutex
	version int
	objects map[string]wireObject // by path
	changed chan struct{}         // closed at the next change
	events  []wireEvent
	writes  map[string]int // by method and resource
	// unanswered are the methods and resources whose next write is carried out, if
	// the value is true, and not answered.
	unanswered map[string]bool
	// stalled is set while watches tell nothing.
	stalled bool
}

type wireEvent struct {
	collection string
	kind       string
	object     wireObject
	version    int
}

func newAPIServer(t *testing.T) *apiServer {
	a := &apiServer{t: t, objects: map[string]wireObject{}, changed: make(chan struct{}), writes: map[string]int{}, unanswered: map[string]bool{}}
	a.Server = httptest.NewServer(http.HandlerFunc(a.serve))
	t.Cleanup(a.Close)
	t.Cleanup(a.CloseClientConnections)
	return a
}

// collections are the paths of the resources that there are.
var collections = map[string]string{
	"/apis/coordination.k8s.io/v1/namespaces/sessions/leases": "leases",
	"/api/v1/namespaces/sessions/pods":                        "pods",
	"/api/v1/namespaces/sessions/services":                    "services",
	"/api/v1/nodes":                                           "nodes",
}

func (a *apiServer) serve(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	resource, ok := collections[r.URL.Path]
	switch {
	case ok && r.Method == http.MethodGet && r.URL.Query().Get("watch") != "":
		a.watch(w, r)
		return
	case ok && r.Method == http.MethodGet:
		a.list(w, r.URL.Path)
		return
	case !ok:
		resource = collections[r.URL.Path[:strings.LastIndex(r.URL.Path, "/")]]
	}
	var in wireObject
	if r.Method == http.MethodPost || r.Method == http.MethodPut || r.Method == http.MethodDelete {
		if err := json.NewDecoder(r.Body).Decode(&in); err != nil {
			a.t.Errorf("%s %s: %v", r.Method, r.URL, err)
		}
	}
	write := r.Method + " " + resource
	a.mu.Lock()
	carryOut, silent := a.unanswered[write]
	delete(a.unanswered, write)
	var status int
	var out wireObject
	if !silent || carryOut {
		status, out = a.handle(r.Method, r.URL.Path, in)
	}
	if a.writes[write]++; silent {
		close(a.changed)
		a.changed = make(chan struct{})
	}
	a.mu.Unlock()
	if silent {
		<-r.Context().Done()
		return
	}
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(out)
}

// handle carries out a request for one object. The caller holds the lock.
func (a *apiServer) handle(method, path string, in wireObject) (int, wireObject) {
	if method == http.MethodPost {
		path += "/" + metaOf(in)["name"].(string)
	}
	old := a.objects[path]
	switch {
	case old == nil && method != http.MethodPost:
		return refusal(http.StatusNotFound, metav1.StatusReasonNotFound)
	case method == http.MethodGet:
		return http.StatusOK, old
	case method == http.MethodDelete && !asWanted(in, old):
		return refusal(http.StatusConflict, metav1.StatusReasonConflict)
	case method == http.MethodDelete:
		delete(a.objects, path)
		a.tell(path, "DELETED", old)
		return http.StatusOK, wireObject{"kind": "Status", "apiVersion": "v1", "status": "Success"}
	case method == http.MethodPatch:
		return http.StatusOK, old // what is noted on it, nobody here reads
	case old != nil && method == http.MethodPost:
		return refusal(http.StatusConflict, metav1.StatusReasonAlreadyExists)
	case old != nil && metaOf(in)["resourceVersion"] != metaOf(old)["resourceVersion"]:
		return refusal(http.StatusConflict, metav1.StatusReasonConflict)
	}
	kind := "MODIFIED"
	if old == nil {
		kind = "ADDED"
	}
	a.tell(path, kind, in)
	return http.StatusOK, in
}

// asWanted reports whether an object has the version that is to be deleted.
func asWanted(options, old wireObject) bool {
	preconditions, ok := options["preconditions"].(wireObject)
	return !ok || preconditions["resourceVersion"] == metaOf(old)["resourceVersion"]
}

// put stores an object that somebody else writes.
func (a *apiServer) put(collection string, o any) {
	a.t.Helper()
	raw, err := json.Marshal(o)
	var in wireObject
	if err == nil {
		err = json.Unmarshal(raw, &in)
	}
	if err != nil {
		a.t.Fatal(err)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.tell(collection+"/"+metaOf(in)["name"].(string), "MODIFIED", in)
}

// tell stores an object and tells the watchers. The caller holds the lock.
func (a *apiServer) tell(path, kind string, o wireObject) {
	a.version++
	metaOf(o)["resourceVersion"] = strconv.Itoa(a.version)
	if kind != "DELETED" {
		a.objects[path] = o
	}
	a.events = append(a.events, wireEvent{path[:strings.LastIndex(path, "/")], kind, o, a.version})
	close(a.changed)
	a.changed = make(chan struct{})
}

func (a *apiServer) list(w http.ResponseWriter, collection string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	items := []wireObject{}
	for path, o := range a.objects {
		if strings.HasPrefix(path, collection+"/") {
			items = append(items, o)
		}
	}
	kind := map[string]string{"leases": "LeaseList", "pods": "PodList", "services": "ServiceList", "nodes": "NodeList"}[collections[collection]]
	version := "v1"
	if kind == "LeaseList" {
		version = "coordination.k8s.io/v1"
	}
	_ = json.NewEncoder(w).Encode(wireObject{"kind": kind, "apiVersion": version, "metadata": wireObject{"resourceVersion": strconv.Itoa(a.version)}, "items": items})
}

func (a *apiServer) watch(w http.ResponseWriter, r *http.Request) {
	if r.URL.Query().Get("sendInitialEvents") != "" { // an old API server
		status, out := refusal(http.StatusUnprocessableEntity, metav1.StatusReasonInvalid)
		w.WriteHeader(status)
		_ = json.NewEncoder(w).Encode(out)
		return
	}
	from, _ := strconv.Atoi(r.URL.Query().Get("resourceVersion")) // "" is 0, as there
	told := 0
	for {
		a.mu.Lock()
		for ; told < len(a.events) && !a.stalled; told++ {
			if e := a.events[told]; e.version > from && e.collection == r.URL.Path {
				_ = json.NewEncoder(w).Encode(wireObject{"type": e.kind, "object": e.object})
			}
		}
		next := a.changed
		a.mu.Unlock()
		w.(http.Flusher).Flush()
		select {
		case <-next:
		case <-r.Context().Done():
			return
		}
	}
}

// stall has watches tell nothing from now on.
func (a *apiServer) stall() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.stalled = true
}

// written is how often something was written.
func (a *apiServer) written(write string) int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.writes[write]
}

// count is how many objects there are in a collection.
func (a *apiServer) count(collection string) (n int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for path := range a.objects {
		if strings.HasPrefix(path, collection+"/") {
			n++
		}
	}
	return n
}

func metaOf(o wireObject) wireObject { return o["metadata"].(wireObject) }

func refusal(code int, reason metav1.StatusReason) (int, wireObject) {
	return code, wireObject{"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": reason, "code": code, "message": fmt.Sprint(reason)}
}
