package mutate

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"heteroaccel.io/pkg/accel"
	"heteroaccel.io/pkg/profile"
)

// Pod is the part of a pod that a mutation reads or writes, as it stands in an
// AdmissionReview's object.
type Pod struct {
	Metadata Metadata       `json:"metadata"`
	Spec     corev1.PodSpec `json:"spec"`

	// Recorded is the container that an earlier mutation of this pod chose, by
	// its verified record; "" when there was none. Undo sets it, FindTarget
	// reads it: another webhook may since have put a container of its own
	// first.
	Recorded string `json:"-"`
}

// Metadata is the part of a pod's metadata that matters here. The rest stays
// undecoded on purpose: managedFields is most of a review.
type Metadata struct {
	Name         string            `json:"name,omitempty"`
	GenerateName string            `json:"generateName,omitempty"`
	Namespace    string            `json:"namespace,omitempty"`
	Annotations  map[string]string `json:"annotations,omitempty"`
	// OwnerReferences say in whose place a pod may come.
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

// FindTarget returns the container to mutate: the one the request names; else
// the one an earlier mutation of this pod chose; else the profile's; else the
// first. A name may be an init container's. The error is a sentence for the
// person who wrote the pod.
func FindTarget(pod *Pod, req accel.Request, p *profile.Profile) (Target, error) {
	if len(pod.Spec.Containers) == 0 {
		return Target{}, errors.New("the pod has no containers: add the one that runs the inference")
	}
	if req.Container != "" {
		if t, ok := lookup(pod, req.Container); ok {
			return t, nil
		}
		return Target{}, fmt.Errorf("annotation %s: the pod has no container %q: name one of %s",
			accel.ContainerAnnotation, req.Container, containerNames(pod))
	}
	for _, name := range []string{pod.Recorded, p.Container} {
		if name == "" {
			continue
		}
		if t, ok := lookup(pod, name); ok {
			return t, nil
		}
	}
	return Target{}, nil
}

// containerNames lists the pod's containers for a sentence, the first twenty.
func containerNames(pod *Pod) string {
	const most = 20
	var names []string
	for _, list := range [][]corev1.Container{pod.Spec.Containers, pod.Spec.InitContainers} {
		for i := range list {
			if len(names) == most {
				return strings.Join(names, ", ") + ", …"
			}
			names = append(names, list[i].Name)
		}
	}
	return strings.Join(names, ", ")
}

// Check refuses pods that no variant can be given to. The error is a sentence
// for the person who wrote the pod.
func Check(pod *Pod) error {
	if pod.Spec.NodeName != "" {
		return fmt.Errorf("spec.nodeName is already set to %q: remove it, so that the scheduler can choose a node that has the accelerator", pod.Spec.NodeName)
	}
	if r := pod.Spec.Resources; r != nil && len(r.Requests)+len(r.Limits)+len(r.Claims) > 0 {
		return errors.New("spec.resources (pod-level resources) cannot stand beside an accelerator's extended resource: move them to the containers")
	}
	return nil
}
