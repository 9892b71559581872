package accel

import (
	"strings"

	corev1 "k8s.io/api/core/v1"
)

// MarkerResource stands with amount 1 in the requests and limits of every
// container we mutate. The scheduler's configuration lists it under the
// extender's managedResources, ignored by the scheduler, so that the extender
// is asked about our pods and no others. No node ever offers it.
const MarkerResource corev1.ResourceName = Prefix + "accelerator"

// IsDeviceResource reports whether name is an extended resource that stands
// for devices: qualified with a domain, not one of Kubernetes' own, and not our
// marker. The rule is that of Kubernetes' IsExtendedResourceName, for names
// that the API server has let in.
func IsDeviceResource(name corev1.ResourceName) bool {
	s := string(name)
	domain, base, qualified := strings.Cut(s, "/")
	if !qualified || domain == "" || base == "" || strings.Contains(base, "/") {
		return false
	}
	return name != MarkerResource &&
		!strings.Contains(s, corev1.ResourceDefaultNamespacePrefix) &&
		!strings.HasPrefix(s, corev1.DefaultResourceRequestsPrefix)
}
