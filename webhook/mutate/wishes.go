package mutate

import (
	"strings"

	corev1 "k8s.io/api/core/v1"
)

// wishes are what has to be known of the amounts that stand in a pod, besides
// the amounts of its target container, to tell what its user wants.
type wishes struct {
	// defaultLimits and defaultRequests are the container's amounts that a
	// LimitRange filled in.
	defaultLimits, defaultRequests map[corev1.ResourceName]bool
	// whole are the resources of the whole pod.
	whole corev1.ResourceRequirements
}

// ofWhole reports whether the user says for the whole pod how much of a
// resource it may have.
func (w *wishes) ofWhole(name corev1.ResourceName) bool {
	_, limited := w.whole.Limits[name]
	_, requested := w.whole.Requests[name]
	return limited || requested
}

// limitRanger is the annotation in which the API server's LimitRanger notes
// what it filled in: "LimitRanger plugin set: cpu, memory request for container
// a; cpu limit for init container b". Source: Kubernetes'
// plugin/pkg/admission/limitranger. Who forges it gives up his own amounts.
const limitRanger = "kubernetes.io/limit-ranger"

func wishesOf(pod *Pod, t Target) (w wishes) {
	if pod.Spec.Resources != nil {
		w.whole = *pod.Spec.Resources
	}
	c := t.container(pod)
	set, ok := strings.CutPrefix(pod.Metadata.Annotations[limitRanger], "LimitRanger plugin set: ")
	if c == nil || !ok {
		return w
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
			w.defaultLimits = resourceSet(names)
		} else if names, ok := strings.CutSuffix(part, " request"); ok {
			w.defaultRequests = resourceSet(names)
		}
	}
	return w
}

// resourceSet reads "cpu, memory".
func resourceSet(names string) map[corev1.ResourceName]bool {
	set := map[corev1.ResourceName]bool{}
	for name := range strings.SplitSeq(names, ", ") {
		set[corev1.ResourceName(name)] = true
	}
	return set
}
