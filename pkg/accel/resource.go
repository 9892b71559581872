package accel

import (
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	resourcev1 "k8s.io/api/resource/v1"
)

// IsDeviceResource reports whether name is an extended resource: qualified with a
// domain, and not one of Kubernetes' own. The rule is that of Kubernetes'
// IsExtendedResourceName, for names that the API server has validated.
func IsDeviceResource(name corev1.ResourceName) bool {
	s := string(name)
	domain, base, qualified := strings.Cut(s, "/")
	if !qualified || domain == "" || base == "" || strings.Contains(base, "/") {
		return false
	}
	return !strings.Contains(s, corev1.ResourceDefaultNamespacePrefix) &&
		!strings.HasPrefix(s, corev1.DefaultResourceRequestsPrefix)
}

// DeviceResources are the names of the extended resources of limits, sorted.
func DeviceResources(limits corev1.ResourceList) []string {
	var names []string
	for name := range limits {
		if IsDeviceResource(name) {
			names = append(names, string(name))
		}
	}
	slices.Sort(names)
	return names
}

// ClassResource is the name by which the devices of a DeviceClass are counted among
// extended resources: Kubernetes' own implicit one (KEP-5004). Only the accounting
// uses it; a pod gets such a device by a ResourceClaim.
func ClassResource(class string) string { return resourcev1.ResourceDeviceClassPrefix + class }

// ClassOf is the DeviceClass that ClassResource named, ok false for any other resource.
func ClassOf(resource string) (class string, ok bool) {
	return strings.CutPrefix(resource, resourcev1.ResourceDeviceClassPrefix)
}
