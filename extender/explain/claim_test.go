package explain

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"heteroaccel.io/extender/extendertest"
	"heteroaccel.io/pkg/accel"
	"heteroaccel.io/pkg/inventory"
	"heteroaccel.io/pkg/resources"
)

// TestLatePods: of a pod that is bound late the page names its claim and what it has, or
// waits for, and not a question that kube-scheduler never asks.
func TestLatePods(t *testing.T) {
	const class = "gpu.example.com"
	r := newRig(t)
	slot := resources.Amounts{Devices: []resources.Devices{{Resource: accel.ClassResource(class), Count: 1}}}
	for _, node := range []string{"node-g", "node-h"} {
		r.SetNode(node, nil)
		r.Inventory.SetSlots(node, inventory.Slots{Capacity: slot, Allocatable: slot})
		r.Scrape(node, time.Second)
	}
	for node, holder := range map[string]string{"node-g": "holds", "node-h": "has-too"} {
		r.Inventory.SetAllocation(inventory.Allocation{
			Namespace: "default", Name: "claim-" + holder, Pod: holder, UID: extendertest.Managed(holder, "", "GPU", nil).UID,
			Node: node, Holds: slot, Devices: []string{"driver.example.com/" + node + "/gpu-0"},
		})
	}
	r.SetPod(extendertest.Managed("holds", "node-g", "GPU", extendertest.Late(class, "claim-holds"), "cpu", "1"))
	r.SetPod(extendertest.Managed("has-too", "node-h", "GPU", func(p *corev1.Pod) { // of another's making
		*p = *extendertest.Pinned("has-too")
		p.Spec.NodeName, p.Spec.ResourceClaims = "node-h", []corev1.PodResourceClaim{{Name: "own", ResourceClaimName: new("claim-has-too")}}
	}))
	r.SetPod(extendertest.Managed("waits", "", "GPU", extendertest.Late(class, "claim-waits"), "cpu", "1"))

	const notAsked = "extender     not asked: kube-scheduler itself knows the devices for the pod's ResourceClaim\n"
	for _, test := range []struct {
		name, pod string
		watched   bool
		want      []string
	}{
		{"bound", "holds", true, []string{"claim        claim-holds: driver.example.com/node-g/gpu-0 of node node-g\n", notAsked}},
		{"waiting", "waits", true, []string{
			"claim        claim-waits: kube-scheduler has allocated nothing to it\n", notAsked,
			"waits for    1 device of DeviceClass gpu.example.com\n", "2 eligible nodes fit 2 such pods, 0 now; 1 pending pod, including this one\n",
			"node-g  full   held by default/holds\n", "node-h  full   held by default/has-too\n",
		}},
		{"waiting, not watched", "waits", false, []string{
			"claim        claim-waits: what it has is not watched, see --resource-claims\n",
			"why          GPU is idle (1 of 1 free), a run takes 76ms; NPU idle, 146ms, CPU idle, 1s\n" + notAsked,
		}},
		{"not watched", "holds", false, []string{"claim        claim-holds: what it has is not watched, see --resource-claims\n", notAsked}},
	} {
		t.Run(test.name, func(t *testing.T) {
			r.pages.Claims = test.watched
			status, _, text := r.get(t, "/pods/default/"+test.pod)
			if status != http.StatusOK {
				t.Fatalf("status %d: %s", status, text)
			}
			for _, want := range test.want {
				if !strings.Contains(text, want) {
					t.Errorf("%q is not in:\n%s", want, text)
				}
			}
		})
	}

	r.pages.Claims = true
	for pod, want := range map[string]string{
		"holds": `"resourceClaim":{"name":"claim-holds","allocated":true,"devices":["driver.example.com/node-g/gpu-0"],"node":"node-g"}`,
		"waits": `"resourceClaim":{"name":"claim-waits","allocated":false,"devices":[]}`,
	} {
		if _, _, body := r.get(t, "/pods/default/"+pod+"?format=json"); !strings.Contains(body, want) {
			t.Errorf("%s: %s is not in:\n%s", pod, want, body)
		}
	}
	// It was deallocated while the pod is bound, as when both end.
	r.Inventory.DeleteAllocation("default", "claim-holds")
	if _, _, text := r.get(t, "/pods/default/holds"); !strings.Contains(text, "claim        claim-holds: it was allocated, and is gone\n") {
		t.Errorf("after its claim is gone:\n%s", text)
	}
}

// TestClasses: the nodes' pages show the devices of a DeviceClass once: by the telemetry,
// or by its own row where there is none of its kind.
func TestClasses(t *testing.T) {
	r := newRig(t)
	faces, _ := r.Profiles.Get("face-recognition")
	late := *faces
	late.Variants = slices.Clone(faces.Variants)
	for i, v := range late.Variants {
		late.Variants[i].Class = strings.ToLower(string(v.Kind)) + ".example.com"
	}
	r.Profiles.Set(&late)
	class := func(kind string, n int64) resources.Devices {
		return resources.Devices{Resource: accel.ClassResource(kind + ".example.com"), Count: n}
	}
	all := resources.Amounts{Devices: []resources.Devices{class("cpu", resources.Max), class("gpu", 1), class("npu", 2), class("other", 3)}}
	r.SetNode("node-d", nil)
	r.Inventory.SetSlots("node-d", inventory.Slots{Capacity: all, Allocatable: all})
	r.Scrape("node-d", time.Second, extendertest.Device("GPU", "0000:03:00.0", ""))
	_, _, text := r.get(t, "/nodes")
	want := `NODE    KIND  DEVICE                         STATE             TELEMETRY  HELD BY
node-d  CPU   8 cores                        6 free, load 25%  1s         -
node-d  GPU   0000:03:00.0                   idle              1s         -
node-d  NPU   DeviceClass npu.example.com    2 of 2 free       1s         -
node-d  ?     DeviceClass other.example.com  3 of 3 free       1s         -
`
	if text != want {
		t.Errorf("the nodes are\n%swant\n%s", text, want)
	}
	if _, _, text := r.get(t, "/profiles/face-recognition"); !strings.Contains(text, "  class        npu.example.com, when bound late\n") {
		t.Errorf("the profile is\n%s", text)
	}
}
