package kube

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/fields"

	"heteroaccel.io/pkg/accel"
)

var everything = fields.Everything()

// reducePod takes off a pod what no record of it keeps: most of its bytes.
func reducePod(obj any) (any, error) {
	p, ok := obj.(*corev1.Pod)
	if !ok {
		return obj, nil
	}
	p.ManagedFields = nil
	if waits(p) {
		return p, nil
	}
	p.Labels = nil
	p.Spec.Volumes, p.Spec.ImagePullSecrets, p.Spec.HostAliases = nil, nil, nil
	p.Status.EphemeralContainerStatuses = nil
	for _, containers := range [][]corev1.Container{p.Spec.InitContainers, p.Spec.Containers} {
		for i := range containers {
			c := &containers[i]
			*c = corev1.Container{Name: c.Name, Resources: c.Resources, RestartPolicy: c.RestartPolicy}
		}
	}
	return p, nil
}

// waits reports whether an accelerator was chosen for the pod and it is not
// bound yet: what it could have instead is read from the whole of it.
func waits(p *corev1.Pod) bool {
	_, ours := p.Annotations[accel.OriginalAnnotation]
	return ours && p.Spec.NodeName == ""
}

// reduceNode does the same for a node, whose image list is most of it.
func reduceNode(obj any) (any, error) {
	n, ok := obj.(*corev1.Node)
	if !ok {
		return obj, nil
	}
	n.ManagedFields, n.Annotations = nil, nil
	n.Status.Images, n.Status.Conditions = nil, nil
	return n, nil
}
