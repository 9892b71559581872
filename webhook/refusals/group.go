package refusals

import (
	"crypto/sha256"
	"encoding/json"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"heteroaccel.io/pkg/accel"
	"heteroaccel.io/webhook/mutate"
)

// GroupKey is equal for pods, taken without their mutation, that have the same
// options and for which the scheduler finds the same nodes. It is a SHA-256 of
// all that either depends on, except the volume of the service account's token,
// whose name differs in every pod. Pods that differ in their deadline alone are alike.
func GroupKey(pod *mutate.Pod, req accel.Request) string {
	req.Deadline = 0
	type container struct {
		Name      string
		Resources corev1.ResourceRequirements
		Mounts    []corev1.VolumeMount
		Ports     []corev1.ContainerPort
		Restart   *corev1.ContainerRestartPolicy
		// What a namespace's pod-security level checks, here and below.
		Security  *corev1.SecurityContext
		Probes    [3]*corev1.Probe
		Lifecycle *corev1.Lifecycle
	}
	token := map[string]bool{}
	var volumes []corev1.Volume
	for _, v := range pod.Spec.Volumes {
		if v.Projected != nil && strings.HasPrefix(v.Name, "kube-api-access-") {
			token[v.Name] = true
			continue
		}
		volumes = append(volumes, v)
	}
	reduce := func(from []corev1.Container) (out []container) {
		for _, c := range from {
			mounts := slices.DeleteFunc(slices.Clone(c.VolumeMounts), func(m corev1.VolumeMount) bool { return token[m.Name] })
			out = append(out, container{
				c.Name, c.Resources, mounts, c.Ports, c.RestartPolicy,
				c.SecurityContext, [3]*corev1.Probe{c.LivenessProbe, c.ReadinessProbe, c.StartupProbe}, c.Lifecycle,
			})
		}
		return out
	}
	spec := &pod.Spec
	content, err := json.Marshal([]any{
		pod.Metadata.Namespace, req, reduce(spec.Containers), reduce(spec.InitContainers), volumes,
		spec.NodeSelector, spec.Affinity, spec.TopologySpreadConstraints, spec.Tolerations, spec.Overhead, spec.Resources,
		spec.PriorityClassName, spec.ActiveDeadlineSeconds, spec.HostNetwork, spec.ResourceClaims,
		spec.SecurityContext, spec.HostPID, spec.HostIPC, spec.HostUsers, spec.OS,
		pod.Metadata.Annotations["kubernetes.io/limit-ranger"],
	})
	if err != nil { // cannot happen to a decoded pod; it would be alone in its group
		content = []byte(pod.Metadata.Namespace + "/" + pod.Metadata.Name)
	}
	sum := sha256.Sum256(content)
	return string(sum[:])
}
