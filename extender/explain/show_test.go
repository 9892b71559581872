package explain

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"

	"heteroaccel.io/extender/bypass"
	"heteroaccel.io/extender/extendertest"
	"heteroaccel.io/extender/history"
	"heteroaccel.io/pkg/accel"
	"heteroaccel.io/pkg/inventory"
	"heteroaccel.io/pkg/kube"
	"heteroaccel.io/pkg/profile"
	"heteroaccel.io/pkg/record"
)

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

// A node about which two sources disagree shows that, and why, and no longer than
// they do.
func TestConflict(t *testing.T) {
	r := newRig(t)
	r.SetNode("node-c", nil, extendertest.GPU, "1")
	r.Scrape("node-c", 90*time.Second)
	r.conflicts = map[string]string{"node-c": "both http://10.0.0.1:9817 and http://10.9.9.9:80 say that they are it"}
	for path, want := range map[string]string{
		"/nodes":                    "stale, 90s, conflict",
		"/nodes/node-c":             "conflict     both http://10.0.0.1:9817 and http://10.9.9.9:80 say that they are it\n",
		"/nodes/node-c?format=json": `"conflict":"both http://10.0.0.1:9817 and`,
	} {
		if _, _, text := r.get(t, path); !strings.Contains(text, want) {
			t.Errorf("%s: %q is not in:\n%s", path, want, text)
		}
		r.conflicts["node-c"], want = "", "conflict"
		if _, _, text := r.get(t, path); strings.Contains(text, want) {
			t.Errorf("%s: a conflict that is resolved is shown:\n%s", path, text)
		}
		r.conflicts["node-c"] = "both http://10.0.0.1:9817 and http://10.9.9.9:80 say that they are it"
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

// keyOf is the id of the key of a pod's record.
func keyOf(p *corev1.Pod) string {
	id, _ := record.KeyOf(p.Annotations[accel.OriginalAnnotation])
	return id
}

// TestNoCRD: the pages say that the CRD is missing, and how to install it.
func TestNoCRD(t *testing.T) {
	r := newRig(t)
	for _, p := range r.Profiles.All() {
		r.Profiles.Delete(p.Name)
	}
	r.Profiles.SetCRD(profile.ErrNoCRD)
	want := profile.ErrNoCRD.Error() + "\n"
	if status, _, body := r.get(t, "/profiles"); status != http.StatusOK || body != want {
		t.Errorf("/profiles: %d %q, want %q", status, body, want)
	}
	if status, _, body := r.get(t, "/profiles/faces"); status != http.StatusNotFound || body != `there is no InferenceProfile "faces": `+want {
		t.Errorf("/profiles/faces: %d %q", status, body)
	}
	var page struct{ CRD string }
	if _, _, body := r.get(t, "/profiles?format=json"); json.Unmarshal([]byte(body), &page) != nil || page.CRD+"\n" != want {
		t.Errorf("as JSON: %s", body)
	}
}

func TestNothingThere(t *testing.T) {
	r := newRig(t)
	lost := extendertest.Managed("lost", "", "GPU", nil)
	r.Inventory.SetPod(inventory.PodOf(lost, record.NewKeys([]byte("another key"))))
	r.Inventory.SetPod(extendertest.Record(extendertest.Pinned("plain")))
	tests := map[string]string{
		"/nodes/nowhere":      "there is no node \"nowhere\": GET /nodes lists all\n",
		"/nodes/a%2Fb%1B":     "there is no node \"a/b\\x1b\": GET /nodes lists all\n",
		"/pods/default/none":  "there is no pod \"none\" in namespace \"default\": GET /pods lists all\n",
		"/pods/default/plain": "pod \"plain\" in namespace \"default\" was not admitted by HeteroAccel: annotate pods with heteroaccel.io/inference before they are created\n",
		"/pods/default/lost":  "pod \"lost\" in namespace \"default\" has a record that was sealed with key " + keyOf(lost) + ", which Secret heteroaccel-webhook-key does not have: it keeps the kind that it waits for or has, and is not recreated for another; restore the key from a backup of the Secret, or delete the pod and create it anew\n",
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
	r.notRecreated = []kube.NotRecreated{{Namespace: "default", Name: "bare", Refused: "quota exceeded", Tries: 4, Secret: "bare-manifest"}}
	const (
		bypassed     = "WARNING 3 pods were bound"
		suspended    = "pending pods are not recreated for idle accelerators"
		notRecreated = "pod default/bare was deleted to be recreated, and the API server refuses to create it (4 attempts): quota exceeded"
	)
	tests := map[string][]string{
		"/": {bypassed, suspended}, "/pods": {notRecreated},
		"/profiles": {bypassed}, "/profiles/face-recognition": {bypassed}, "/profiles/text": nil,
	}
	for path, want := range tests {
		_, _, text := r.get(t, path)
		text = strings.Join(strings.Fields(text), " ")
		for _, warning := range []string{bypassed, suspended, notRecreated} {
			if wanted := slices.Contains(want, warning); strings.Contains(text, warning) != wanted {
				t.Errorf("GET %s: %q is there: %v, want %v\n%s", path, warning, !wanted, wanted, text)
			}
		}
	}
}
