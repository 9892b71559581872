package explain

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/google/go-cmp/cmp"
	"github.com/rs/zerolog"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"heteroaccel.io/extender/bypass"
	"heteroaccel.io/extender/extendertest"
	"heteroaccel.io/extender/history"
	"heteroaccel.io/pkg/accel"
	"heteroaccel.io/pkg/inventory"
	"heteroaccel.io/pkg/kube"
	"heteroaccel.io/pkg/serve"
)

// rig serves the pages of a cluster.
type rig struct {
	*httptest.Server
	*extendertest.Cluster
	history  *history.Store
	bypassed []bypass.Report
	// suspended and unwanted are what the webhook reports.
	suspended bool
	unwanted  []kube.Unwanted
}

// newRig starts an hour before Now.
func newRig(tb testing.TB) *rig {
	tb.Helper()
	r := &rig{Cluster: extendertest.New(tb, extendertest.Fixed)}
	var err error
	if r.history, err = history.New(extendertest.Now.Add(-time.Hour)); err != nil {
		tb.Fatal(err)
	}
	router := serve.Router(zerolog.New(zerolog.NewTestWriter(tb)))
	pages := New(Config{
		Inventory: r.Inventory, Profiles: r.Profiles, History: r.history,
		Bypassed:  func() []bypass.Report { return r.bypassed },
		Suspended: func() bool { return r.suspended },
		Unwanted:  func() []kube.Unwanted { return r.unwanted },
		Further:   []Endpoint{{"POST", "/scheduler/filter", "for kube-scheduler"}},
	})
	pages.Route(router)
	router.NotFound(pages.NotFound)
	r.Server = httptest.NewServer(router)
	tb.Cleanup(r.Close)
	return r
}

func (r *rig) get(tb testing.TB, path string, edits ...func(*http.Request)) (status int, contentType, body string) {
	tb.Helper()
	return extendertest.Get(tb, r.URL+path, edits...)
}

// golden compares with a file of testdata, and writes it when UPDATE_GOLDEN is
// set.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if os.Getenv("UPDATE_GOLDEN") != "" {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if string(want) != got {
		t.Errorf("%s differs; UPDATE_GOLDEN=1 rewrites it\n--- want\n%s--- got\n%s", path, want, got)
	}
}

// scene is a small cluster with one of everything that pages show.
func scene(t *testing.T) *rig {
	r := newRig(t)
	r.SetNode("node-g", nil, extendertest.GPU, "1")
	r.SetNode("node-f", func(n *corev1.Node) { n.Spec.Unschedulable = true }, extendertest.FPGA, "1")
	r.SetNode("node-n", func(n *corev1.Node) {
		n.Spec.Taints = []corev1.Taint{{Key: "room", Value: "lab", Effect: corev1.TaintEffectNoSchedule}}
	}, extendertest.NPU, "2", extendertest.GPU, "1")
	r.SetNode("node-s", nil, extendertest.GPU, "4", "smarter-devices/fuse", "5")
	r.SetNode("node-u", nil, extendertest.GPU, "1")
	r.SetNode("node-z", nil, extendertest.GPU, "1")

	for _, p := range []*corev1.Pod{
		extendertest.Managed("face-0", "node-g", "GPU", nil, extendertest.GPU, "1"),
		extendertest.Managed("face-1", "node-n", "NPU", nil, extendertest.NPU, "1"),
		extendertest.Managed("face-2", "node-n", "NPU", nil, extendertest.NPU, "1"),
		extendertest.Managed("face-3", "node-g", "CPU", nil, "cpu", "2"),
		extendertest.Managed("share-1", "node-s", "GPU", nil, extendertest.GPU, "1"),
		extendertest.Managed("waiter", "", "GPU", func(p *corev1.Pod) {
			p.Annotations[accel.ReasonAnnotation] = "nothing better is idle: waits for GPU (0 of 7 free), expected to finish first, in 3s; CPU busy (0 of 4 free), 12s\x1b[2J"
		}, extendertest.GPU, "1"),
		extendertest.Managed("picky", "", "GPU", func(p *corev1.Pod) {
			p.Spec.NodeSelector = map[string]string{"room": "node-g"}
		}, extendertest.GPU, "1"),
		extendertest.Managed("volume", "", "GPU", func(p *corev1.Pod) {
			p.Status.Conditions = unschedulable("0/6 nodes are available: 2 Insufficient gpu.intel.com/i915, 4 node(s) didn't match PersistentVolume's node affinity.")
		}, extendertest.GPU, "1"),
		extendertest.Managed("crowd", "", "CPU", func(p *corev1.Pod) {
			p.Status.Conditions = unschedulable("0/6 nodes are available: 6 Insufficient cpu.")
		}, "cpu", "7"),
	} {
		r.SetPod(p)
	}
	r.Scrape("node-g", 2*time.Second, extendertest.Device("GPU", "0000:00:02.0", extendertest.GPU, extendertest.Allocated("face-0"), func(d *accel.Device) {
		d.Vendor, d.Model, d.Driver = "Intel", "TigerLake-LP GT2 [Iris Xe Graphics]", "i915"
		d.PluginID, d.NUMA, d.Busy = "card0-0", new(0), new(0.625)
	}))
	r.Scrape("node-f", 3*time.Second, extendertest.Device("FPGA", "0000:3b:00.0", extendertest.FPGA))
	r.Scrape("node-n", 4*time.Second, extendertest.Device("NPU", "1-1.2", extendertest.NPU, extendertest.Allocated("face-1")), extendertest.Device("NPU", "1-1.3", extendertest.NPU),
		extendertest.Device("GPU", "0000:01:00.0", extendertest.GPU, extendertest.InUse))
	r.Scrape("node-s", time.Minute, extendertest.Device("GPU", "0000:03:00.0", extendertest.GPU, func(d *accel.Device) { d.Slots = 4 }))
	r.Scrape("node-u", 2*time.Second, extendertest.Device("GPU", "0000:00:02.0", extendertest.GPU, extendertest.Unhealthy))
	return r
}

// unschedulable are the conditions of a pod for which kube-scheduler found no
// node.
func unschedulable(message string) []corev1.PodCondition {
	return []corev1.PodCondition{{
		Type: corev1.PodScheduled, Status: corev1.ConditionFalse, Reason: corev1.PodReasonUnschedulable,
		Message: message, LastTransitionTime: metav1.NewTime(extendertest.Now.Add(-80 * time.Second)),
	}}
}

func TestPages(t *testing.T) {
	r := scene(t)
	r.history.SetFilter("uid-waiter", history.Call{Time: extendertest.Now, Passed: 1, Rejected: 2, Nodes: []history.Node{
		{Name: "node-u", Message: "GPU 0000:00:02.0 is unhealthy"}, {Name: "node-n", Message: "GPU 0000:01:00.0 is used outside Kubernetes by ffmpeg"},
	}})
	r.history.SetFilter("uid-face-0", history.Call{Time: extendertest.Now, Passed: 1})
	r.history.SetPreemption("uid-waiter", history.Call{Time: extendertest.Now, Passed: 1, Rejected: 1, Nodes: []history.Node{
		{Name: "node-u", Message: "GPU 0000:00:02.0 is unhealthy; evicting pods would free no usable device"},
	}})
	pages := map[string]string{
		"index":    "/",
		"nodes":    "/nodes",
		"node-g":   "/nodes/node-g",
		"node-n":   "/nodes/node-n",
		"node-s":   "/nodes/node-s",
		"pods":     "/pods",
		"waiter":   "/pods/default/waiter",
		"picky":    "/pods/default/picky",
		"face-0":   "/pods/default/face-0",
		"volume":   "/pods/default/volume",
		"crowd":    "/pods/default/crowd",
		"face-1":   "/pods/default/face-1",
		"face-3":   "/pods/default/face-3",
		"profiles": "/profiles",
		"profile":  "/profiles/face-recognition",
		"typo":     "/ndoes",
	}
	for name, path := range pages {
		t.Run(name, func(t *testing.T) {
			_, contentType, text := r.get(t, path)
			if contentType != "text/plain; charset=utf-8" {
				t.Errorf("Content-Type: %s", contentType)
			}
			for line := range strings.Lines(text) {
				if line = strings.TrimSuffix(line, "\n"); strings.TrimRight(line, " ") != line || strings.ContainsFunc(line, unicode.IsControl) {
					t.Errorf("blanks at the end, or a control character: %q", line)
				}
			}
			golden(t, name+".txt", text)

			_, contentType, asked := r.get(t, path+"?format=json")
			if contentType != "application/json" {
				t.Errorf("Content-Type: %s", contentType)
			}
			_, _, accepted := r.get(t, path, func(r *http.Request) { r.Header.Set("Accept", "application/json") })
			var a, b any
			if err := json.Unmarshal([]byte(asked), &a); err != nil {
				t.Fatal(err)
			}
			if err := json.Unmarshal([]byte(accepted), &b); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(a, b); diff != "" {
				t.Errorf("?format=json and Accept differ:\n%s", diff)
			}
			pretty, err := json.MarshalIndent(a, "", "  ")
			if err != nil {
				t.Fatal(err)
			}
			golden(t, name+".json", string(pretty)+"\n")
		})
	}
}

// A device that a pod holds by a ResourceClaim is busy, although the inventory
// does not know the pod, as it requests no extended resource.
func TestDeviceHeldByAClaim(t *testing.T) {
	r := newRig(t)
	r.SetNode("node-d", nil, extendertest.GPU, "0")
	r.Scrape("node-d", time.Second, extendertest.Device("GPU", "0000:03:00.0", "", func(d *accel.Device) {
		d.PluginID, d.Allocated = "gpu.intel.com/node-d/0000-03-00-0-0x56a0", 1
		d.Holders = []accel.Holder{{Namespace: "default", Pod: "dra-0", Container: "c", Slots: 1, Claim: "one-gpu"}}
	}))
	_, _, text := r.get(t, "/nodes/node-d")
	for _, want := range []string{
		"  state        busy\n", "  held by      default/dra-0 (c) by ResourceClaim one-gpu\n",
		"  resource     none: no device plugin advertises it\n", "  plugin id    gpu.intel.com/node-d/0000-03-00-0-0x56a0\n",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not in:\n%s", want, text)
		}
	}
}

// A device whose health is unknown is neither idle nor unhealthy, and one that is
// unhealthy says why.
func TestHealthOfDevices(t *testing.T) {
	r := newRig(t)
	r.SetNode("node-h", nil, extendertest.GPU, "3")
	r.Scrape("node-h", time.Second,
		extendertest.Device("GPU", "0000:03:00.0", extendertest.GPU, func(d *accel.Device) { d.Health, d.Reason = accel.HealthUnknown, "its driver resets it" }),
		extendertest.Device("GPU", "0000:04:00.0", extendertest.GPU, extendertest.Unhealthy, func(d *accel.Device) { d.Reason = "no driver is bound to it" }))
	_, _, text := r.get(t, "/nodes/node-h")
	for _, want := range []string{
		"GPU 0000:03:00.0\n  state        unknown\n", "  health       unknown: its driver resets it\n",
		"GPU 0000:04:00.0\n  state        unhealthy\n", "  health       unhealthy: no driver is bound to it\n",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not in:\n%s", want, text)
		}
	}
	_, _, page := r.get(t, "/nodes/node-h?format=json")
	var view struct {
		Devices []struct {
			State, Reason string
			Healthy       *bool
		}
	}
	if err := json.Unmarshal([]byte(page), &view); err != nil {
		t.Fatal(err)
	}
	if d := view.Devices; len(d) != 2 || d[0].Healthy != nil || d[0].State != "unknown" || d[0].Reason == "" || d[1].Healthy == nil || *d[1].Healthy {
		t.Errorf("devices %s", page)
	}
}

func TestNothingThere(t *testing.T) {
	r := newRig(t)
	r.Inventory.SetPod(inventory.PodOf(extendertest.Managed("plain", "", "GPU", nil), []byte("another key")))
	tests := map[string]string{
		"/nodes/nowhere":      "there is no node \"nowhere\": GET /nodes lists all\n",
		"/nodes/a%2Fb%1B":     "there is no node \"a/b\\x1b\": GET /nodes lists all\n",
		"/pods/default/none":  "there is no pod \"none\" in namespace \"default\": GET /pods lists all\n",
		"/pods/default/plain": "pod \"plain\" in namespace \"default\" was not admitted by HeteroAccel: annotate pods with heteroaccel.io/inference before they are created\n",
		"/profiles/none":      "there is no InferenceProfile \"none\": GET /profiles lists all\n",
	}
	for path, want := range tests {
		status, _, body := r.get(t, path)
		if status != http.StatusNotFound || body != want {
			t.Errorf("GET %s: %d %q, want 404 %q", path, status, body, want)
		}
		_, _, body = r.get(t, path+"?format=json")
		var failure struct{ Error string }
		if err := json.Unmarshal([]byte(body), &failure); err != nil || failure.Error != strings.TrimSuffix(want, "\n") {
			t.Errorf("GET %s as JSON: %s, %v", path, body, err)
		}
	}
	for path, want := range map[string]string{
		"/nodes": "no nodes are known yet\n",
		"/pods":  "HeteroAccel has admitted no pod yet: annotate one with heteroaccel.io/inference\n",
	} {
		if status, _, body := r.get(t, path); status != http.StatusOK || body != want {
			t.Errorf("GET %s: %d %q", path, status, body)
		}
	}
	if status, _, body := r.get(t, "/nodes?format=xml"); status != http.StatusBadRequest || !strings.Contains(body, "use json or text") {
		t.Errorf("?format=xml: %d %s", status, body)
	}
}

// The pages warn of what is wrong where people look for it.
func TestWarnings(t *testing.T) {
	r := newRig(t)
	r.bypassed = []bypass.Report{{Resource: extendertest.NPU, Pods: 3, Message: "3 pods were bound"}}
	r.suspended = true
	r.unwanted = []kube.Unwanted{{Namespace: "default", Name: "bare", Refused: "quota exceeded", Tries: 4, Secret: "bare-manifest"}}
	const (
		bypassed  = "WARNING 3 pods were bound"
		suspended = "pending pods are not recreated for idle accelerators"
		unwanted  = "pod default/bare was deleted to be recreated, and the API server refuses to create it (4 attempts): quota exceeded"
	)
	tests := map[string][]string{
		"/": {bypassed, suspended}, "/pods": {unwanted},
		"/profiles": {bypassed}, "/profiles/face-recognition": {bypassed}, "/profiles/text": nil,
	}
	for path, want := range tests {
		_, _, text := r.get(t, path)
		text = strings.Join(strings.Fields(text), " ")
		for _, warning := range []string{bypassed, suspended, unwanted} {
			if wanted := slices.Contains(want, warning); strings.Contains(text, warning) != wanted {
				t.Errorf("GET %s: %q is there: %v, want %v\n%s", path, warning, !wanted, wanted, text)
			}
		}
	}
}
