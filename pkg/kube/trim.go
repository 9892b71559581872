package kube

import (
	"maps"
	"slices"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/tools/cache"

	"heteroaccel.io/pkg/accel"
	"heteroaccel.io/pkg/inventory"
	"heteroaccel.io/pkg/namespaces"
	"heteroaccel.io/pkg/record"
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

// podRecord is a pod while a list of pods streams in: its inventory record, and what is
// left of the pod for the other consumers.
type podRecord struct {
	*corev1.Pod
	record *inventory.Pod
}

// recordPod returns what reduces a pod and reads it into its record. A bound pod is left
// without its containers: all that is read of them is in the record, and until the list is
// complete they would be most of what is in memory.
func recordPod(keys func() *record.Keys) cache.TransformFunc {
	return func(obj any) (any, error) {
		obj, err := reducePod(obj)
		p, ok := obj.(*corev1.Pod)
		if err != nil || !ok {
			return obj, err
		}
		r := &podRecord{p, inventory.PodOf(p, keys())}
		if p.Spec.NodeName != "" {
			p.Spec.InitContainers, p.Spec.Containers, p.Spec.EphemeralContainers = nil, nil, nil
			p.Spec.NodeSelector, p.Spec.Affinity, p.Spec.Tolerations = nil, nil, nil
			p.Status.InitContainerStatuses, p.Status.ContainerStatuses = nil, nil
		}
		return r, nil
	}
}

// podEvent is the event of a pod, which comes whole unless it was on a list that
// streamed in. Where the keys have changed since, the list is read anew: see NewFeeds.
func podEvent(keys func() *record.Keys) func(runtime.Object) *PodEvent {
	return func(o runtime.Object) *PodEvent {
		if r, ok := o.(*podRecord); ok {
			return &PodEvent{Pod: r.Pod, PodChange: inventory.PodChange{Record: r.record}}
		}
		p := o.(*corev1.Pod)
		return &PodEvent{Pod: p, PodChange: inventory.PodChange{Record: inventory.PodOf(p, keys())}}
	}
}

// nodeRecord is a node while a list of nodes streams in: its inventory record, which is
// kept for as long as the node is there, and its name. Whole nodes, held until their list
// is complete, would take several times that, and leave the heap full of holes.
type nodeRecord struct {
	metav1.ObjectMeta
	metav1.TypeMeta
	node *inventory.Node
}

// DeepCopyObject makes it a runtime.Object. Both are never changed.
func (n *nodeRecord) DeepCopyObject() runtime.Object { return n }

// recordNode reads a node into its record.
func recordNode(obj any) (any, error) {
	n, ok := obj.(*corev1.Node)
	if !ok {
		return obj, nil
	}
	r := inventory.NodeOf(n)
	return &nodeRecord{ObjectMeta: metav1.ObjectMeta{Name: r.Name}, node: r}, nil
}

// nodeEvent is the record of a node, which comes whole unless it was on a list that
// streamed in.
func nodeEvent(o runtime.Object) *inventory.Node {
	if r, ok := o.(*nodeRecord); ok {
		return r.node
	}
	return inventory.NodeOf(o.(*corev1.Node))
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
