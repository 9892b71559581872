package kubelet

import (
	"strings"

	corev1 "k8s.io/api/core/v1"
	podresources "k8s.io/kubelet/pkg/apis/podresources/v1"
)

// claimed are the devices that a container has by the pod's ResourceClaims, as they were
// allocated to these. The kubelet lists them once the driver has prepared the claim; here
// there is none to ask, so they have no names for a container runtime.
func (s *Server) claimed(pod *corev1.Pod, c corev1.Container) []*podresources.DynamicResource {
	var out []*podresources.DynamicResource
	for _, ref := range c.Resources.Claims {
		claim := s.claim(pod.Namespace, claimName(pod, ref.Name))
		if claim == nil || claim.Status.Allocation == nil {
			continue
		}
		r := &podresources.DynamicResource{ClaimName: claim.Name, ClaimNamespace: claim.Namespace}
		for _, d := range claim.Status.Allocation.Devices.Results {
			// Of a request with alternatives this is "request/alternative".
			if request, _, _ := strings.Cut(d.Request, "/"); ref.Request == "" || ref.Request == request {
				r.ClaimResources = append(r.ClaimResources, &podresources.ClaimResource{DriverName: d.Driver, PoolName: d.Pool, DeviceName: d.Device})
			}
		}
		out = append(out, r)
	}
	return out
}

// claimName is which ResourceClaim a pod means by a name of its own, "" for none yet.
func claimName(pod *corev1.Pod, name string) string {
	for _, c := range pod.Spec.ResourceClaims {
		if c.Name == name && c.ResourceClaimName != nil {
			return *c.ResourceClaimName
		}
	}
	for _, made := range pod.Status.ResourceClaimStatuses { // from a template
		if made.Name == name && made.ResourceClaimName != nil {
			return *made.ResourceClaimName
		}
	}
	return ""
}
