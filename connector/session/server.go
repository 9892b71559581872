package session

import (
	"cmp"
	"encoding/json"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"heteroaccel.io/pkg/accel"
)

const (
	poolAnnotation = accel.Prefix + "session-pool"
	// IdleAnnotation says since when a server has had no session, in RFC 3339, so
	// that it goes in time whoever decides.
	IdleAnnotation = accel.Prefix + "idle-since"

	reachAnnotation = accel.Prefix + "server-address"
)

// Pod is a new server of a pool, from a profile's template, which clients reach
// in a way.
func Pod(template *corev1.PodTemplateSpec, p Pool, reach Reach, namespace, name string) (*corev1.Pod, error) {
	pool, err := json.Marshal(p)
	if err != nil {
		return nil, fmt.Errorf("encode the pool of %s: %w", name, err)
	}
	t := template.DeepCopy()
	pod := &corev1.Pod{ObjectMeta: t.ObjectMeta, Spec: t.Spec}
	pod.Namespace, pod.Name, pod.GenerateName = namespace, name, ""
	if pod.Labels == nil {
		pod.Labels = map[string]string{}
	}
	if pod.Annotations == nil {
		pod.Annotations = map[string]string{}
	}
	pod.Labels[Label], pod.Labels[serverLabel] = LabelServer, name
	pod.Annotations[poolAnnotation], pod.Annotations[reachAnnotation] = string(pool), string(reach)
	pod.Annotations[accel.InferenceAnnotation] = p.Inference
	pod.Annotations[accel.AcceleratorAnnotation] = p.Accelerator
	if p.Node != "" {
		preferNode(&pod.Spec, p.Node)
	}
	return pod, nil
}

// preferNode makes a node better than the others, but not the only one.
func preferNode(spec *corev1.PodSpec, node string) {
	if spec.Affinity == nil {
		spec.Affinity = &corev1.Affinity{}
	}
	if spec.Affinity.NodeAffinity == nil {
		spec.Affinity.NodeAffinity = &corev1.NodeAffinity{}
	}
	a := spec.Affinity.NodeAffinity
	a.PreferredDuringSchedulingIgnoredDuringExecution = append(a.PreferredDuringSchedulingIgnoredDuringExecution, corev1.PreferredSchedulingTerm{
		Weight: 100,
		Preference: corev1.NodeSelectorTerm{MatchFields: []corev1.NodeSelectorRequirement{
			{Key: metav1.ObjectNameField, Operator: corev1.NodeSelectorOpIn, Values: []string{node}},
		}},
	})
}

// OfPod reads a server's pod.
func OfPod(pod *corev1.Pod) (*Server, error) {
	v := &Server{
		Name: pod.Name, Created: pod.CreationTimestamp.Time, Node: pod.Spec.NodeName,
		Kind: pod.Annotations[accel.SelectedAnnotation], Reason: pod.Annotations[accel.ReasonAnnotation],
		Reach: Reach(cmp.Or(pod.Annotations[reachAnnotation], string(ReachPodIP))), PodIP: pod.Status.PodIP, HostIP: pod.Status.HostIP,
		UID: string(pod.UID), Version: pod.ResourceVersion,
	}
	if port := PortOf(&pod.Spec); port != nil {
		v.Port, v.HostPort = port.ContainerPort, port.HostPort
	}
	if err := json.Unmarshal([]byte(pod.Annotations[poolAnnotation]), &v.Pool); err != nil {
		return nil, fmt.Errorf("pod %s: annotation %s: %w", pod.Name, poolAnnotation, err)
	}
	if at, err := time.Parse(time.RFC3339Nano, pod.Annotations[IdleAnnotation]); err == nil {
		v.Idle = at
	}
	ready := false
	for _, c := range pod.Status.Conditions {
		switch {
		case c.Type == corev1.PodReady:
			if ready = c.Status == corev1.ConditionTrue; !ready {
				v.Unready = c.LastTransitionTime.Time
			}
		case c.Type == corev1.PodScheduled && c.Status == corev1.ConditionFalse:
			v.Verdict = c.Message
		}
	}
	switch {
	case pod.DeletionTimestamp != nil || pod.Status.Phase == corev1.PodFailed || pod.Status.Phase == corev1.PodSucceeded:
		v.Phase = Gone
	case pod.Spec.NodeName == "":
		v.Phase = Waiting
	case !ready:
		v.Phase = Starting
	default:
		v.Phase = Unreachable
	}
	return new(Table).located(v), nil
}

// portName is the name of the port that the inference is served on, where a
// template has several.
const portName = "inference"

// PortOf is the port of a pod that the inference is served on: the one named
// inference, else the first; nil when there is none.
func PortOf(spec *corev1.PodSpec) *corev1.ContainerPort {
	var first *corev1.ContainerPort
	for i := range spec.Containers {
		for j := range spec.Containers[i].Ports {
			p := &spec.Containers[i].Ports[j]
			if p.Name == portName {
				return p
			}
			if first == nil {
				first = p
			}
		}
	}
	return first
}
