package mutate

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"heteroaccel.io/pkg/accel"
	"heteroaccel.io/pkg/profile"
	"heteroaccel.io/webhook/mutate/deviceflag"
)

// defaultContainer is the annotation in which kubectl, and injectors of sidecars,
// find or write the name of the pod's main container.
const defaultContainer = "kubectl.kubernetes.io/default-container"

// FindTarget returns the container to mutate:
//
//  1. the one that the request names, which may be an init container;
//  2. the one that an earlier mutation of this pod chose;
//  3. the profile's;
//  4. the one that kubectl.kubernetes.io/default-container names;
//  5. the one container, or sidecar, with a device flag and a device on its
//     command line, with HETEROACCEL_DEVICE, or with the resource of a known
//     accelerator;
//  6. the only container, not counting sidecars.
//
// 2 to 4 count only when the pod has such a container. FindTarget never guesses:
// otherwise the error, a sentence for the person who wrote the pod, names the
// containers. known is as in Input.
func FindTarget(pod *Pod, req accel.Request, p *profile.Profile, known func(corev1.ResourceName) bool) (Target, error) {
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
	for _, name := range []string{pod.Recorded, p.Container, pod.Metadata.Annotations[defaultContainer]} {
		if name == "" {
			continue
		}
		if t, ok := lookup(pod, name); ok {
			return t, nil
		}
	}
	found := evident(pod, p, known)
	switch {
	case len(found) == 1:
		return found[0], nil
	case len(found) == 0 && len(pod.Spec.Containers) == 1:
		return Target{}, nil
	case len(found) == 0:
		return Target{}, fmt.Errorf("the pod has several containers (%s), and nothing says which of them runs the inference: name it in annotation %s",
			containerNames(pod), accel.ContainerAnnotation)
	}
	var names []string
	for _, t := range found[:min(len(found), maxNames)] {
		names = append(names, t.container(pod).Name)
	}
	return Target{}, fmt.Errorf("several of the pod's containers have a device flag or an accelerator (%s): name the one that runs the inference in annotation %s",
		strings.Join(names, ", "), accel.ContainerAnnotation)
}

// evident returns the containers and sidecars that evidently run on an
// accelerator.
func evident(pod *Pod, p *profile.Profile, known func(corev1.ResourceName) bool) []Target {
	var found []Target
	for i := range pod.Spec.Containers {
		if runsOnDevice(&pod.Spec.Containers[i], p, known) {
			found = append(found, Target{Index: i})
		}
	}
	for i := range pod.Spec.InitContainers {
		c := &pod.Spec.InitContainers[i]
		sidecar := c.RestartPolicy != nil && *c.RestartPolicy == corev1.ContainerRestartPolicyAlways
		if sidecar && runsOnDevice(c, p, known) {
			found = append(found, Target{Init: true, Index: i})
		}
	}
	return found
}

func runsOnDevice(c *corev1.Container, p *profile.Profile, known func(corev1.ResourceName) bool) bool {
	for _, list := range []corev1.ResourceList{c.Resources.Limits, c.Resources.Requests} {
		for name := range list {
			if known != nil && accel.IsDeviceResource(name) && known(name) {
				return true
			}
		}
	}
	if len(p.Variants) == 0 {
		return false
	}
	return deviceflag.Rewrite(c, p, &p.Variants[0]).NamesDevice()
}

// maxNames bounds the names in a sentence.
const maxNames = 20

// containerNames lists the pod's containers for a sentence, the first twenty.
func containerNames(pod *Pod) string {
	var names []string
	for _, list := range [][]corev1.Container{pod.Spec.Containers, pod.Spec.InitContainers} {
		for i := range list {
			if len(names) == maxNames {
				return strings.Join(names, ", ") + ", …"
			}
			names = append(names, list[i].Name)
		}
	}
	return strings.Join(names, ", ")
}

// Check returns nil for a pod to whose target t some variant may be applied. The
// error is a sentence for the person who wrote the pod.
func Check(pod *Pod, t Target) error {
	if pod.Spec.NodeName != "" {
		return fmt.Errorf("spec.nodeName is already set to %q: remove it, so that the scheduler can choose a node that has the accelerator", pod.Spec.NodeName)
	}
	c := t.container(pod)
	if c == nil {
		return errNoContainer(t)
	}
	claims := slices.Clone(c.Resources.Claims)
	if r := pod.Spec.Resources; r != nil {
		claims = append(claims, r.Claims...) // those of all its containers
	}
	if len(claims) > 0 {
		return fmt.Errorf("container %q uses the resource claim %q, which chooses a device by itself: remove the claim from the container, or the annotation %s from the pod",
			c.Name, claims[0].Name, accel.InferenceAnnotation)
	}
	return nil
}
