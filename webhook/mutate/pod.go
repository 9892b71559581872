package mutate

import (
	"slices"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Pod is the part of a pod that a mutation reads or writes, as the object of an
// AdmissionReview has it.
type Pod struct {
	Metadata Metadata       `json:"metadata"`
	Spec     corev1.PodSpec `json:"spec"`

	// Recorded is the container that an earlier mutation of this pod chose, by
	// its verified record; "" when there was none. Undo sets it, FindTarget
	// reads it: another webhook may since have put a container of its own
	// first.
	Recorded string `json:"-"`
	// Noted is what the earlier mutation appended to its decision's reason, by the
	// same record. Undo sets it, Apply reads it.
	Noted string `json:"-"`
	// Warnings are Apply's for whoever creates the pod: sentences of at most 256
	// bytes, each about something that may still name another device than the one
	// chosen for the pod, or that could not be written.
	Warnings []string `json:"-"`
}

// Metadata is the part of a pod's metadata that matters here. The rest stays
// undecoded on purpose: managedFields is most of a review.
type Metadata struct {
	Name         string            `json:"name,omitempty"`
	GenerateName string            `json:"generateName,omitempty"`
	Namespace    string            `json:"namespace,omitempty"`
	Annotations  map[string]string `json:"annotations,omitempty"`
	// OwnerReferences say which pods this one may replace: its controller's.
	OwnerReferences []metav1.OwnerReference `json:"ownerReferences,omitempty"`
}

// Target is the container to mutate: an index into spec.initContainers or
// spec.containers.
type Target struct {
	Init  bool
	Index int
}

// container returns the target's container in pod, or nil when pod has no such
// index.
func (t Target) container(pod *Pod) *corev1.Container {
	list := pod.Spec.Containers
	if t.Init {
		list = pod.Spec.InitContainers
	}
	if t.Index < 0 || t.Index >= len(list) {
		return nil
	}
	return &list[t.Index]
}

// detach gives pod a list of containers of its own and returns the target's
// container in it: the one that may then be written.
func (t Target) detach(pod *Pod) *corev1.Container {
	if t.Init {
		pod.Spec.InitContainers = slices.Clone(pod.Spec.InitContainers)
	} else {
		pod.Spec.Containers = slices.Clone(pod.Spec.Containers)
	}
	return t.container(pod)
}

// lookup finds a container by name, init containers included.
func lookup(pod *Pod, name string) (Target, bool) {
	named := func(c corev1.Container) bool { return c.Name == name }
	if i := slices.IndexFunc(pod.Spec.Containers, named); i >= 0 {
		return Target{Index: i}, true
	}
	if i := slices.IndexFunc(pod.Spec.InitContainers, named); i >= 0 {
		return Target{Init: true, Index: i}, true
	}
	return Target{}, false
}
