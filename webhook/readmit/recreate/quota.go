package recreate

import (
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	resourcehelper "k8s.io/component-helpers/resource"

	"heteroaccel.io/webhook/readmit/podapi"
)

// onlyUntilGone reports whether a pod was refused only because a quota still
// counts the one before it. The quota plugin runs last, so all others have
// admitted the pod.
func onlyUntilGone(err error, old *corev1.Pod) bool {
	excess, ok := podapi.Excess(err)
	if !ok {
		return false
	}
	for name, over := range excess {
		used := usageOf(old, name)
		if used.Cmp(over) < 0 {
			return false
		}
	}
	return true
}

// usageOf is what a quota counts of a pod for one resource.
func usageOf(pod *corev1.Pod, name corev1.ResourceName) resource.Quantity {
	switch name {
	case corev1.ResourcePods, "count/pods":
		return resource.MustParse("1")
	}
	if limited, ok := strings.CutPrefix(string(name), "limits."); ok {
		return resourcehelper.PodLimits(pod, resourcehelper.PodResourcesOptions{})[corev1.ResourceName(limited)]
	}
	requested := strings.TrimPrefix(string(name), corev1.DefaultResourceRequestsPrefix)
	return resourcehelper.PodRequests(pod, resourcehelper.PodResourcesOptions{})[corev1.ResourceName(requested)]
}
