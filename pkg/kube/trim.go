package kube

import (
	"maps"
	"slices"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"heteroaccel.io/pkg/accel"
	"heteroaccel.io/pkg/namespaces"
)

// reducePod removes from a pod what no record of it keeps: most of its bytes.
func reducePod(obj any) (any, error) {
	p, ok := obj.(*corev1.Pod)
	if !ok {
		return obj, nil
	}
	p.ManagedFields = nil
	_, ours := p.Annotations[accel.OriginalAnnotation]
	if ours && p.Spec.NodeName == "" { // which others it could have is read from the whole pod
		return p, nil
	}
	p.Labels = nil
	if p.Spec.NodeName != "" {
		p.Spec.Volumes = nil // of an unbound pod they say where it may go
	}
	p.Spec.ImagePullSecrets, p.Spec.HostAliases = nil, nil
	p.Status.EphemeralContainerStatuses = nil
	for _, containers := range [][]corev1.Container{p.Spec.InitContainers, p.Spec.Containers} {
		for i := range containers {
			c := &containers[i]
			reduced := corev1.Container{Name: c.Name, Resources: c.Resources, RestartPolicy: c.RestartPolicy}
			if ours { // what it runs says whether its times can be learned from
				reduced.Image = c.Image
				reduced.Env = slices.DeleteFunc(c.Env, func(e corev1.EnvVar) bool { return e.Name != accel.DeviceEnv })
			}
			*c = reduced
		}
	}
	return p, nil
}

// reduceNode does the same for a node, most of which is its list of images.
func reduceNode(obj any) (any, error) {
	n, ok := obj.(*corev1.Node)
	if !ok {
		return obj, nil
	}
	n.ManagedFields, n.Annotations = nil, nil
	n.Status.Images, n.Status.Conditions = nil, nil
	return n, nil
}

// reduceVolume keeps of a volume where it can be used, and reduceClaim of a
// volume claim to which volume it is bound.
func reduceVolume(obj any) (any, error) {
	v, ok := obj.(*corev1.PersistentVolume)
	if !ok {
		return obj, nil
	}
	return &corev1.PersistentVolume{
		ObjectMeta: metav1.ObjectMeta{Name: v.Name, UID: v.UID, ResourceVersion: v.ResourceVersion, Labels: v.Labels},
		Spec:       corev1.PersistentVolumeSpec{NodeAffinity: v.Spec.NodeAffinity},
	}, nil
}

func reduceClaim(obj any) (any, error) {
	c, ok := obj.(*corev1.PersistentVolumeClaim)
	if !ok {
		return obj, nil
	}
	return &corev1.PersistentVolumeClaim{
		ObjectMeta: metav1.ObjectMeta{Namespace: c.Namespace, Name: c.Name, UID: c.UID, ResourceVersion: c.ResourceVersion},
		Spec:       corev1.PersistentVolumeClaimSpec{VolumeName: c.Spec.VolumeName},
	}, nil
}

// reduceNamespace keeps a namespace's labels, and which inferences it allows.
func reduceNamespace(obj any) (any, error) {
	n, ok := obj.(*corev1.Namespace)
	if !ok {
		return obj, nil
	}
	n.ManagedFields = nil
	maps.DeleteFunc(n.Annotations, func(name, _ string) bool { return name != namespaces.AllowedAnnotation })
	return n, nil
}
