package server

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	extenderv1 "k8s.io/kube-scheduler/extender/v1"

	"heteroaccel.io/pkg/accel"
	"heteroaccel.io/pkg/inventory"
)

// scene is a small cluster with one of everything that pages show.
func scene(t *testing.T) *rig {
	clock := now.Add(-time.Hour) // the extender's start
	r := newRig(t, func() time.Time { return clock })
	clock = now
	r.node("node-g", nil, gpu, "1")
	r.node("node-f", func(n *corev1.Node) { n.Spec.Unschedulable = true }, fpga, "1")
	r.node("node-n", func(n *corev1.Node) {
		n.Spec.Taints = []corev1.Taint{{Key: "room", Value: "lab", Effect: corev1.TaintEffectNoSchedule}}
	}, npu, "2", gpu, "1")
	r.node("node-s", nil, gpu, "4", "smarter-devices/fuse", "5")
	r.node("node-u", nil, gpu, "1")
	r.node("node-z", nil, gpu, "1")

	for _, p := range []*corev1.Pod{
		managed("face-0", "node-g", "GPU", nil, gpu, "1"),
		managed("face-1", "node-n", "NPU", nil, npu, "1"),
		managed("face-2", "node-n", "NPU", nil, npu, "1"),
		managed("face-3", "node-g", "CPU", nil, "cpu", "2"),
		managed("share-1", "node-s", "GPU", nil, gpu, "1"),
		managed("waiter", "", "GPU", func(p *corev1.Pod) {
			p.Annotations[accel.ReasonAnnotation] = "nothing better is idle: waits for GPU (0 of 7 free), expected to finish first, in 3s; CPU busy (0 of 4 free), 12s\x1b[2J"
		}, gpu, "1"),
		managed("picky", "", "GPU", func(p *corev1.Pod) {
			p.Spec.NodeSelector = map[string]string{"room": "node-g"}
		}, gpu, "1"),
		managed("volume", "", "GPU", func(p *corev1.Pod) {
			p.Status.Conditions = unschedulable("0/6 nodes are available: 2 Insufficient gpu.intel.com/i915, 4 node(s) didn't match PersistentVolume's node affinity.")
		}, gpu, "1"),
		managed("crowd", "", "CPU", func(p *corev1.Pod) {
			p.Status.Conditions = unschedulable("0/6 nodes are available: 6 Insufficient cpu.")
		}, "cpu", "7"),
	} {
		r.pod(p)
	}
	r.sample("node-g", 2*time.Second, device("GPU", "0000:00:02.0", gpu, allocated("face-0"), func(d *accel.Device) {
		d.Vendor, d.Model, d.Driver = "Intel", "TigerLake-LP GT2 [Iris Xe Graphics]", "i915"
		d.PluginID, d.NUMA, d.Busy = "card0-0", new(0), new(0.625)
	}))
	r.sample("node-f", 3*time.Second, device("FPGA", "0000:3b:00.0", fpga))
	r.sample("node-n", 4*time.Second, device("NPU", "1-1.2", npu, allocated("face-1")), device("NPU", "1-1.3", npu),
		device("GPU", "0000:01:00.0", gpu, taken))
	r.sample("node-s", time.Minute, device("GPU", "0000:03:00.0", gpu, func(d *accel.Device) { d.Slots = 4 }))
	r.sample("node-u", 2*time.Second, device("GPU", "0000:00:02.0", gpu, sick))
	return r
}

// unschedulable are the conditions of a pod for which kube-scheduler found no
// node.
func unschedulable(message string) []corev1.PodCondition {
	return []corev1.PodCondition{{
		Type: corev1.PodScheduled, Status: corev1.ConditionFalse, Reason: corev1.PodReasonUnschedulable,
		Message: message, LastTransitionTime: metav1.NewTime(now.Add(-80 * time.Second)),
	}}
}

func TestPages(t *testing.T) {
	r := scene(t)
	waiter := managed("waiter", "", "GPU", nil, gpu, "1")
	r.filter(t, waiter, "node-u", "node-n", "node-z")
	r.filter(t, managed("face-0", "", "GPU", nil, gpu, "1"), "node-g")
	r.preempt(t, waiter, map[string]*extenderv1.MetaVictims{"node-g": victims(0, "uid-face-0"), "node-u": victims(0, "uid-plain")})
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
				if n := utf8.RuneCountInString(strings.TrimSuffix(line, "\n")); n > 100 {
					t.Errorf("a line of %d columns: %s", n, line)
				}
			}
			if strings.ContainsRune(text, '\x1b') {
				t.Error("an escape character reached the terminal")
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

// A device that a pod holds by a ResourceClaim is busy, though that pod asks for
// no extended resource and so is none that we follow.
func TestDeviceHeldByAClaim(t *testing.T) {
	r := newRig(t, fixed)
	r.node("node-d", nil, gpu, "0")
	r.sample("node-d", time.Second, device("GPU", "0000:03:00.0", "", func(d *accel.Device) {
		d.PluginID, d.Allocated = "gpu.intel.com/node-d/0000-03-00-0-0x56a0", 1
		d.Holders = []accel.Holder{{Namespace: "default", Pod: "dra-0", Container: "c", Slots: 1, Claim: "one-gpu"}}
	}))
	_, _, text := r.get(t, "/nodes/node-d")
	for _, want := range []string{
		"  state        busy\n", "  held by      default/dra-0 (c) by claim one-gpu\n",
		"  resource     none: no device plugin serves it\n", "  plugin id    gpu.intel.com/node-d/0000-03-00-0-0x56a0\n",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not in:\n%s", want, text)
		}
	}
}

// A device of which the sample does not tell whether it works is neither idle
// nor unhealthy, and one that does not work says why.
func TestHealthOfDevices(t *testing.T) {
	r := newRig(t, fixed)
	r.node("node-h", nil, gpu, "3")
	r.sample("node-h", time.Second,
		device("GPU", "0000:03:00.0", gpu, func(d *accel.Device) { d.Health, d.Reason = accel.HealthUnknown, "its driver resets it" }),
		device("GPU", "0000:04:00.0", gpu, sick, func(d *accel.Device) { d.Reason = "no driver is bound to it" }))
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
	r := newRig(t, fixed)
	r.inv.SetPod(inventory.PodOf(managed("plain", "", "GPU", nil), []byte("another key")))
	tests := map[string]string{
		"/nodes/nowhere":      "there is no node \"nowhere\": see /nodes for those there are\n",
		"/nodes/a%2Fb%1B":     "there is no node \"a/b\\x1b\": see /nodes for those there are\n",
		"/pods/default/none":  "there is no pod \"none\" in namespace \"default\": see /pods for those there are\n",
		"/pods/default/plain": "pod \"plain\" in namespace \"default\" asked for no accelerator of HeteroAccel's when it was created: annotate pods with heteroaccel.io/inference\n",
		"/profiles/none":      "there is no InferenceProfile \"none\": see /profiles for those there are\n",
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
		"/nodes": "No nodes are known yet.\n",
		"/pods":  "No pod was given an accelerator yet: annotate one with heteroaccel.io/inference.\n",
	} {
		if status, _, body := r.get(t, path); status != http.StatusOK || body != want {
			t.Errorf("GET %s: %d %q", path, status, body)
		}
	}
	if status, _, body := r.get(t, "/nodes?format=xml"); status != http.StatusBadRequest || !strings.Contains(body, "use json or text") {
		t.Errorf("?format=xml: %d %s", status, body)
	}
}

func TestHealth(t *testing.T) {
	r := newRig(t, fixed)
	missing := "waiting for the API server's list of pods"
	r.missing.Store(&missing)
	if status, _, body := r.get(t, "/readyz"); status != http.StatusServiceUnavailable || body != missing+"\n" {
		t.Errorf("/readyz: %d %q", status, body)
	}
	if status, _, _ := r.get(t, "/healthz"); status != http.StatusOK {
		t.Errorf("/healthz: %d", status)
	}
	r.missing.Store(nil)
	if status, _, body := r.get(t, "/readyz"); status != http.StatusOK || body != "ok\n" {
		t.Errorf("/readyz: %d %q", status, body)
	}
	if status, _, body := r.get(t, "/metrics"); status != http.StatusOK || !strings.Contains(body, "heteroaccel_extender_request_duration_seconds") {
		t.Errorf("/metrics: %d", status)
	}
}

func TestHead(t *testing.T) {
	r := scene(t)
	for _, path := range []string{"/", "/nodes", "/nodes/node-g", "/pods/default/waiter", "/profiles", "/healthz", "/readyz", "/metrics"} {
		resp, err := http.Head(r.URL + path)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil || resp.StatusCode != http.StatusOK || len(body) != 0 {
			t.Errorf("HEAD %s: %s, %d bytes, %v", path, resp.Status, len(body), err)
		}
	}
	req, err := http.NewRequest(http.MethodPost, r.URL+"/nodes", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusMethodNotAllowed || resp.Header.Get("Allow") != "GET, HEAD" {
		t.Errorf("POST /nodes: %s, Allow %q", resp.Status, resp.Header.Get("Allow"))
	}
}
