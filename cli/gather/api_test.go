package gather

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"

	"k8s.io/client-go/rest"
	"sigs.k8s.io/yaml"
)

// api stands for an API server: it serves objects by their path, and what becomes of
// the pods that are created is up to the test.
type api struct {
	mu sync.Mutex
	// objects are JSON by path. A path of a list is that of its items, without a name.
	objects map[string]string
	// forbidden are paths that the caller may not use.
	forbidden map[string]bool
	// place is the node that kube-scheduler chooses, "" for none.
	place string
	// removed are the pods that were deleted, and left those that were not.
	removed, left []string
	// seen is called once a pod exists.
	seen func()
	// asked is what the extender says of the pod.
	asked string
}

const pods = "/api/v1/namespaces/default/pods"

func (a *api) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	a.mu.Lock()
	defer a.mu.Unlock()
	w.Header().Set("Content-Type", "application/json")
	body, _ := io.ReadAll(r.Body)
	switch object, there := a.objects[r.URL.Path]; {
	case a.forbidden[r.URL.Path]:
		status(w, http.StatusForbidden, "Forbidden")
	case r.URL.Path == pods && r.Method == http.MethodPost:
		a.create(w, r, string(body))
	case strings.HasPrefix(r.URL.Path, pods+"/"):
		a.pod(w, r, strings.TrimPrefix(r.URL.Path, pods+"/"))
	case strings.HasSuffix(r.URL.Path, "accessreviews"):
		var review map[string]any
		_ = json.Unmarshal(body, &review)
		review["status"] = map[string]any{"allowed": true}
		_ = json.NewEncoder(w).Encode(review)
	case there:
		_, _ = io.WriteString(w, object)
	default:
		status(w, http.StatusNotFound, "NotFound")
	}
}

func status(w http.ResponseWriter, code int, reason string) {
	w.WriteHeader(code)
	fmt.Fprintf(w, `{"kind":"Status","apiVersion":"v1","status":"Failure","message":"it is %[2]s","reason":%[2]q,"code":%[1]d}`, code, reason)
}

// boundWithClaim is an inference whose pods are bound late.
const boundWithClaim = "bound-with-claim"

// create admits a pod as the webhook does, and refuses an unknown inference and one that is
// for other namespaces.
func (a *api) create(w http.ResponseWriter, r *http.Request, body string) {
	if strings.Contains(body, nobody) || strings.Contains(body, `"elsewhere"`) {
		w.WriteHeader(http.StatusForbidden)
		_, _ = io.WriteString(w, `{"kind":"Status","apiVersion":"v1","status":"Failure","message":"admission webhook \"pods.heteroaccel.io\" denied the request: unknown","reason":"Forbidden","code":403}`)
		return
	}
	var p struct {
		Metadata struct {
			Name string `json:"name"`
		} `json:"metadata"`
	}
	_ = json.Unmarshal([]byte(body), &p)
	if r.URL.Query().Get("dryRun") == "" {
		a.left = append(a.left, p.Metadata.Name)
		if a.seen != nil {
			a.seen()
		}
	}
	w.WriteHeader(http.StatusCreated)
	device := ""
	if strings.Contains(body, boundWithClaim) {
		device = `"heteroaccel.io/device":"GPU",`
	}
	fmt.Fprintf(w, `{"kind":"Pod","apiVersion":"v1","metadata":{"name":%q,"namespace":"default","annotations":{%s"heteroaccel.io/inference":"face","heteroaccel.io/selected":"GPU","heteroaccel.io/original":"sealed"}}}`, p.Metadata.Name, device)
}

func (a *api) pod(w http.ResponseWriter, r *http.Request, name string) {
	if r.Method == http.MethodDelete {
		a.removed = append(a.removed, name)
		a.left = slices.DeleteFunc(a.left, func(l string) bool { return l == name })
		_, _ = io.WriteString(w, `{"kind":"Status","apiVersion":"v1","status":"Success"}`)
		return
	}
	if a.place == "" {
		fmt.Fprintf(w, `{"kind":"Pod","apiVersion":"v1","metadata":{"name":%q,"namespace":"default"},"status":{"conditions":[{"type":"PodScheduled","status":"False","reason":"Unschedulable","message":"0/1 nodes"}]}}`, name)
		return
	}
	fmt.Fprintf(w, `{"kind":"Pod","apiVersion":"v1","metadata":{"name":%q,"namespace":"default"},"spec":{"nodeName":%q}}`, name, a.place)
}

// extender serves the pages.
func (a *api) extender(w http.ResponseWriter, r *http.Request) {
	a.mu.Lock()
	defer a.mu.Unlock()
	switch {
	case r.URL.Path == "/":
		_, _ = io.WriteString(w, `{}`)
	case r.URL.Path == "/nodes":
		_, _ = io.WriteString(w, `{"nodes":[{"name":"g","telemetry":{"ageSeconds":1,"fresh":true},"resources":[{"resource":"gpu.intel.com/i915","usable":1}]}]}`)
	case r.URL.Path == "/pods":
		_, _ = io.WriteString(w, `{"pods":[]}`)
	case strings.HasPrefix(r.URL.Path, "/pods/default/heteroaccel-check-"):
		fmt.Fprintf(w, `{"asked":%q,"askedMessage":"what it says","node":"g"}`, a.asked)
	default:
		http.NotFound(w, r)
	}
}

// installed is an API server with everything installed, and what gathers of it.
func installed(t *testing.T) (*api, *Gatherer) {
	t.Helper()
	crd, err := os.ReadFile("../../deploy/base/crd/heteroaccel.io_inferenceprofiles.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if crd, err = yaml.YAMLToJSON(crd); err != nil {
		t.Fatal(err)
	}
	const (
		admission = "/apis/admissionregistration.k8s.io/v1/"
		system    = "/namespaces/heteroaccel-system/"
		endpoints = "/apis/discovery.k8s.io/v1" + system + "endpointslices"
		workload  = `{"metadata":{"name":"x"},"spec":{"template":{"spec":{"containers":[{"name":"x","image":"heteroaccel/heteroaccel:v0.1.0"}]}}}}`
	)
	a := &api{place: "g", asked: "yes", forbidden: map[string]bool{}, objects: map[string]string{
		"/version": `{"gitVersion":"v1.37.2"}`,
		"/apis/apiextensions.k8s.io/v1/customresourcedefinitions/inferenceprofiles.heteroaccel.io": strings.TrimSuffix(strings.TrimSpace(string(crd)), "}") + `,"status":{"conditions":[{"type":"Established","status":"True"}]}}`,
		"/apis/heteroaccel.io/v1alpha1/inferenceprofiles":                                          `{"items":[{"metadata":{"name":"face","generation":1},"spec":{"variants":[{"accelerator":"GPU","image":"x","device":"GPU","limits":{"gpu.intel.com/i915":"1"}}]},"status":{"conditions":[{"type":"Usable","status":"True","observedGeneration":1}]}}]}`,
		"/api/v1/nodes": `{"items":[{"metadata":{"name":"g"},"status":{"capacity":{"gpu.intel.com/i915":"1"},"allocatable":{"gpu.intel.com/i915":"1"}}}]}`,
		admission + "mutatingwebhookconfigurations/heteroaccel":                         `{"webhooks":[{"clientConfig":{"caBundle":"QQ==","service":{"name":"heteroaccel-webhook"}}}]}`,
		admission + "validatingadmissionpolicies/heteroaccel-backstop":                  `{}`,
		admission + "validatingadmissionpolicybindings/heteroaccel-backstop":            `{"spec":{"policyName":"heteroaccel-backstop","validationActions":["Deny"]}}`,
		"/apis/apps/v1" + system + "deployments/heteroaccel-webhook":                    workload,
		"/apis/apps/v1" + system + "deployments/heteroaccel-extender":                   workload,
		"/apis/apps/v1/namespaces/heteroaccel-exporter/daemonsets/heteroaccel-exporter": workload,
		"/api/v1" + system + "services/heteroaccel-webhook":                             `{}`,
		"/api/v1" + system + "services/heteroaccel-extender":                            `{}`,
		endpoints: `{"items":[{"endpoints":[{"addresses":["10.0.0.1"],"conditions":{"ready":true}},{"addresses":["10.0.0.2"],"conditions":{"ready":false}}]}]}`,
		"/api/v1/namespaces/heteroaccel-exporter/pods": `{"items":[{"spec":{"nodeName":"g"},"status":{"conditions":[{"type":"Ready","status":"True"}]}}]}`,
		pods: `{"items":[]}`,
	}}
	server, extender := httptest.NewServer(a), httptest.NewServer(http.HandlerFunc(a.extender))
	t.Cleanup(server.Close)
	t.Cleanup(extender.Close)
	g, err := New(Config{
		REST: &rest.Config{Host: server.URL, QPS: -1, ContentConfig: rest.ContentConfig{ContentType: "application/json"}}, System: "heteroaccel-system", Exporters: "heteroaccel-exporter", Namespace: "default",
		Pages: extender.URL, Canary: true, Version: "v0.1.0", Release: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	return a, g
}
