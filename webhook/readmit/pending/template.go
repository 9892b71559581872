package pending

import (
	corev1 "k8s.io/api/core/v1"

	"heteroaccel.io/pkg/accel"
	"heteroaccel.io/webhook/mutate"
	"heteroaccel.io/webhook/refusals"
)

// Template is what pods of one pod template in one namespace have in common: all
// that decides which options they have, and what its quotas leave them.
type Template struct {
	Key string
	// RefusalGroup is the same for all templates that differ only in the kind
	// they wait for: the scheduler's verdict on a kind holds for them all.
	RefusalGroup string
	// Pod is one of them without its mutation.
	Pod     *mutate.Pod
	Request accel.Request
	Kind    accel.Kind // the kind they wait for
}

func templateOf(pod *mutate.Pod, req accel.Request, kind accel.Kind) *Template {
	group := refusals.GroupKey(pod, req)
	return &Template{Key: group + "/" + string(kind) + "/" + pod.Recorded, RefusalGroup: group, Pod: pod, Request: req, Kind: kind}
}

// AsMutated is the pod as a mutation sees it.
func AsMutated(pod *corev1.Pod) *mutate.Pod {
	return &mutate.Pod{
		Metadata: mutate.Metadata{Name: pod.Name, GenerateName: pod.GenerateName, Namespace: pod.Namespace, Annotations: pod.Annotations},
		Spec:     pod.Spec,
	}
}
