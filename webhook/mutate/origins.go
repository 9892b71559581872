package mutate

import (
	"strings"

	corev1 "k8s.io/api/core/v1"
)

// origins tell who set the amounts of a pod's target container: its user, or a
// LimitRange.
type origins struct {
	// defaultLimits and defaultRequests are the container's amounts that a
	// LimitRange filled in.
	defaultLimits, defaultRequests map[corev1.ResourceName]bool
	// pod are the resources that the user set for the whole pod.
	pod corev1.ResourceRequirements
}

// forPod reports whether the user set the amount of a resource for the whole pod.
func (o *origins) forPod(name corev1.ResourceName) bool {
	_, limited := o.pod.Limits[name]
	_, requested := o.pod.Requests[name]
	return limited || requested
}

// limitRanger is the annotation in which the API server's LimitRanger notes
// what it filled in: "LimitRanger plugin set: cpu, memory request for container
// a; cpu limit for init container b". Source: Kubernetes'
// plugin/pkg/admission/limitranger. Whoever forges it gives up amounts of
// their own.
const limitRanger = "kubernetes.io/limit-ranger"

func originsOf(pod *Pod, t Target) (o origins) {
	if pod.Spec.Resources != nil {
		o.pod = *pod.Spec.Resources
	}
	c := t.container(pod)
	set, ok := strings.CutPrefix(pod.Metadata.Annotations[limitRanger], "LimitRanger plugin set: ")
	if c == nil || !ok {
		return o
	}
	whose := " for container " + c.Name
	if t.Init {
		whose = " for init container " + c.Name
	}
	for part := range strings.SplitSeq(set, "; ") {
		part, ok := strings.CutSuffix(part, whose)
		if !ok {
			continue
		}
		if names, ok := strings.CutSuffix(part, " limit"); ok {
			o.defaultLimits = resourceSet(names)
		} else if names, ok := strings.CutSuffix(part, " request"); ok {
			o.defaultRequests = resourceSet(names)
		}
	}
	return o
}

// resourceSet reads "cpu, memory".
func resourceSet(names string) map[corev1.ResourceName]bool {
	set := map[corev1.ResourceName]bool{}
	for name := range strings.SplitSeq(names, ", ") {
		set[corev1.ResourceName(name)] = true
	}
	return set
}
