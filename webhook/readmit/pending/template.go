package pending

import (
	"strings"

	corev1 "k8s.io/api/core/v1"

	"heteroaccel.io/pkg/accel"
	"heteroaccel.io/pkg/record"
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
	// Pod is one of them without its mutation, and without what its options do not
	// depend on.
	Pod     *mutate.Pod
	Request accel.Request
	Kind    accel.Kind // the kind they wait for
	Late    bool       // they are bound late

	size int // of Pod, in bytes as the API server encodes it
}

// TemplateOf is what the options of a pod depend on, whether it is pending or not; ok is
// false when its record does not verify, or it is too large.
func TemplateOf(pod *corev1.Pod, keys *record.Keys) (t *Template, ok bool) {
	given, _ := record.Of(pod.Annotations, pod.Namespace, keys)
	undone, verified := mutate.Undo(AsMutated(pod), keys, pod.Namespace)
	req, ours, err := accel.ParseRequest(pod.Annotations)
	if !verified || !ours || err != nil || undone.Recorded == "" {
		return nil, false
	}
	t = templateOf(undone, req, given.Kind, given.Claim != "")
	t.Pod.Spec.NodeName = "" // where it is bound says nothing of where its next one may be
	return t, t.size <= maxTemplate
}

const (
	// maxTemplate bounds what is kept of a template, in bytes as the API server
	// encodes it: pods of a larger one wait for the kind that they got.
	maxTemplate = 64 << 10
	// maxTemplates bounds that of all templates of a namespace.
	maxTemplates = 4 << 20
)

func templateOf(pod *mutate.Pod, req accel.Request, kind accel.Kind, late bool) *Template {
	group := refusals.GroupKey(pod, req)
	req.Deadline = 0 // it is each pod's own
	t := &Template{Key: group + "/" + string(kind) + "/" + pod.Recorded, RefusalGroup: group, Request: req, Kind: kind, Late: late}
	if late {
		t.Key += "/late"
	}
	t.Pod = reduced(pod)
	t.size = t.Pod.Spec.Size()
	for name, value := range t.Pod.Metadata.Annotations {
		t.size += len(name) + len(value)
	}
	return t
}

// reduced is a pod without what its options do not depend on once its container is
// known: command lines, variables, and what people and other programs noted on it,
// which may be most of it.
func reduced(pod *mutate.Pod) *mutate.Pod {
	out := &mutate.Pod{
		Metadata: mutate.Metadata{Name: pod.Metadata.Name, GenerateName: pod.Metadata.GenerateName, Namespace: pod.Metadata.Namespace},
		Spec:     pod.Spec, Recorded: pod.Recorded,
	}
	for name, value := range pod.Metadata.Annotations {
		if decides(name) {
			if out.Metadata.Annotations == nil {
				out.Metadata.Annotations = map[string]string{}
			}
			out.Metadata.Annotations[name] = value
		}
	}
	spec := &out.Spec
	spec.Containers, spec.InitContainers, spec.EphemeralContainers = withoutPrograms(spec.Containers), withoutPrograms(spec.InitContainers), nil
	spec.TopologySpreadConstraints, spec.HostAliases, spec.ImagePullSecrets, spec.DNSConfig, spec.ReadinessGates = nil, nil, nil, nil, nil
	return out
}

// decides reports whether options depend on an annotation: the LimitRanger plugin's
// note, kubectl's, and those that a namespace's pod-security level checks.
func decides(annotation string) bool {
	return annotation == "kubernetes.io/limit-ranger" || annotation == "kubectl.kubernetes.io/default-container" ||
		strings.HasPrefix(annotation, "container.apparmor.security.beta.kubernetes.io/") ||
		strings.Contains(annotation, "seccomp.security.alpha.kubernetes.io/")
}

// withoutPrograms are containers without what they run.
func withoutPrograms(containers []corev1.Container) (out []corev1.Container) {
	for i := range containers {
		c := &containers[i]
		out = append(out, corev1.Container{
			Name: c.Name, Resources: c.Resources, RestartPolicy: c.RestartPolicy, VolumeMounts: c.VolumeMounts, Ports: c.Ports,
			SecurityContext: c.SecurityContext, Lifecycle: c.Lifecycle,
			LivenessProbe: c.LivenessProbe, ReadinessProbe: c.ReadinessProbe, StartupProbe: c.StartupProbe,
		})
	}
	return out
}

// AsMutated is the pod as a mutation sees it.
func AsMutated(pod *corev1.Pod) *mutate.Pod {
	return &mutate.Pod{
		Metadata: mutate.Metadata{Name: pod.Name, GenerateName: pod.GenerateName, Namespace: pod.Namespace, Annotations: pod.Annotations},
		Spec:     pod.Spec,
	}
}
