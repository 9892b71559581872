package mutate

import (
	"maps"

	corev1 "k8s.io/api/core/v1"
	resourcehelper "k8s.io/component-helpers/resource"
)

// podResourcesFor returns the resources of the whole pod, raised where its
// containers now ask for more, as the API server demands: a request is at least
// the sum of the containers' requests, and a limit at least that sum, which
// becomes the request where there is none, the limit of each container and the
// pod's own request. An amount that the pod does not set stays unset. nil when
// the pod has none; its own when nothing has to be raised. Source:
// validatePodResourceConsistency in Kubernetes' pkg/apis/core/validation, and
// KEP-2837.
func podResourcesFor(pod *Pod) *corev1.ResourceRequirements {
	whole := pod.Spec.Resources
	if whole == nil || len(whole.Limits)+len(whole.Requests) == 0 {
		return whole
	}
	limits, requests := maps.Clone(whole.Limits), maps.Clone(whole.Requests)
	sum := containerRequests(pod)
	raised := raise(requests, sum)
	raised = raise(limits, sum) || raised
	for i := range pod.Spec.Containers {
		raised = raise(limits, pod.Spec.Containers[i].Resources.Limits) || raised
	}
	raised = raise(limits, requests) || raised
	if !raised {
		return whole
	}
	out := *whole
	out.Limits, out.Requests = limits, requests
	return &out
}

// raise raises each amount of list, which may be written, to at least that of to.
func raise(list, to corev1.ResourceList) (raised bool) {
	for name, have := range list {
		if want, ok := to[name]; ok && have.Cmp(want) < 0 {
			list[name], raised = want, true
		}
	}
	return raised
}

// defaultedPodResources returns the resources of the whole pod as the API server
// completes them after all webhooks: where there is a limit and no request, the
// request is the sum of the containers' requests, or, when they request none, the
// limit. Source: defaultPodRequests in Kubernetes' pkg/apis/core/v1.
func defaultedPodResources(pod *Pod, whole *corev1.ResourceRequirements) *corev1.ResourceRequirements {
	if whole == nil || len(whole.Limits) == 0 {
		return whole
	}
	sum := containerRequests(pod)
	out := *whole
	out.Requests = maps.Clone(whole.Requests)
	for name, limit := range whole.Limits {
		if _, requested := out.Requests[name]; requested {
			continue
		}
		if out.Requests == nil {
			out.Requests = corev1.ResourceList{}
		}
		out.Requests[name] = limit
		if n, ok := sum[name]; ok {
			out.Requests[name] = n
		}
	}
	return &out
}

// containerRequests is the sum of what the containers request, as the scheduler
// counts it.
func containerRequests(pod *Pod) corev1.ResourceList {
	return resourcehelper.AggregateContainerRequests(&corev1.Pod{Spec: pod.Spec}, resourcehelper.PodResourcesOptions{})
}
