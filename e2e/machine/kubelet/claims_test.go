package kubelet_test

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	resourcev1 "k8s.io/api/resource/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	podresources "k8s.io/kubelet/pkg/apis/podresources/v1"
)

// TestClaims: a container has the devices that were allocated to its pod's claims, of
// the requests that it names, and none of a claim that was not allocated.
func TestClaims(t *testing.T) {
	n := newNode(t)
	claim := func(name string, requests ...string) {
		c := &resourcev1.ResourceClaim{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: name}}
		for i, r := range requests {
			if c.Status.Allocation == nil {
				c.Status.Allocation = &resourcev1.AllocationResult{}
			}
			c.Status.Allocation.Devices.Results = append(c.Status.Allocation.Devices.Results,
				resourcev1.DeviceRequestAllocationResult{Request: r, Driver: "d", Pool: "x", Device: fmt.Sprintf("%s-%d", name, i)})
		}
		n.claims["default/"+name] = c
	}
	n.claims = map[string]*resourcev1.ResourceClaim{}
	claim("own", "gpu", "alternatives/npu")
	claim("made", "gpu")
	claim("waiting")
	pod := n.bind("a", 0, 0, 0)
	pod.Spec.ResourceClaims = []corev1.PodResourceClaim{
		{Name: "own", ResourceClaimName: new("own")}, {Name: "made", ResourceClaimTemplateName: new("t")},
		{Name: "waiting", ResourceClaimName: new("waiting")}, {Name: "nowhere", ResourceClaimName: new("nowhere")},
	}
	pod.Status.ResourceClaimStatuses = []corev1.PodResourceClaimStatus{{Name: "made", ResourceClaimName: new("made")}}
	pod.Spec.Containers[0].Resources.Claims = []corev1.ResourceClaim{{Name: "own"}, {Name: "waiting"}, {Name: "nowhere"}}
	pod.Spec.Containers[1].Resources.Claims = []corev1.ResourceClaim{{Name: "own", Request: "alternatives"}, {Name: "made"}}
	response, err := n.client.List(t.Context(), &podresources.ListPodResourcesRequest{})
	if err != nil {
		t.Fatal(err)
	}
	got := map[string][]string{}
	for _, c := range response.PodResources[0].Containers {
		for _, r := range c.DynamicResources {
			for _, d := range r.ClaimResources {
				got[c.Name] = append(got[c.Name], r.ClaimNamespace+"/"+r.ClaimName+" "+d.DriverName+"/"+d.PoolName+"/"+d.DeviceName)
			}
		}
	}
	want := map[string][]string{
		"c0": {"default/own d/x/own-0", "default/own d/x/own-1"},
		"c1": {"default/own d/x/own-1", "default/made d/x/made-0"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("claimed devices (-want +got):\n%s", diff)
	}
}
