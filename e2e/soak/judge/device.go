package judge

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"heteroaccel.io/e2e/soak/ledger"
	"heteroaccel.io/pkg/accel"
	"heteroaccel.io/pkg/profile/v1alpha1"
)

// Disagrees says what of a pod does not fit the kind that it says it was given: its
// image, the devices that it is limited to, its device flag -d, and its variable.
// The container is the one that the kind was written into. Nil if all agree.
func Disagrees(pod *corev1.Pod, container string, variants []v1alpha1.Variant) error {
	kind := pod.Annotations[accel.SelectedAnnotation]
	v := variantOf(variants, kind)
	if v == nil {
		return fmt.Errorf("pod %s/%s says it was given %q, which its profile does not have", pod.Namespace, pod.Name, kind)
	}
	i := slices.IndexFunc(pod.Spec.Containers, func(c corev1.Container) bool { return c.Name == container })
	if i < 0 {
		return fmt.Errorf("pod %s/%s has no container %s", pod.Namespace, pod.Name, container)
	}
	c := pod.Spec.Containers[i]
	var wrong []error
	if c.Image != v.Image {
		wrong = append(wrong, fmt.Errorf("its image is %s, want %s", c.Image, v.Image))
	}
	for name, amount := range c.Resources.Limits {
		if want := v.Limits[name]; accel.IsDeviceResource(name) && amount.Cmp(want) != 0 {
			wrong = append(wrong, fmt.Errorf("it is limited to %s of %s, want %s", amount.String(), name, want.String()))
		}
	}
	for name, want := range v.Limits {
		if amount := c.Resources.Limits[name]; accel.IsDeviceResource(name) && amount.IsZero() {
			wrong = append(wrong, fmt.Errorf("it has none of its %s of %s", want.String(), name))
		}
	}
	if got := flags(c); !slices.Equal(got, []string{v.Device}) {
		wrong = append(wrong, fmt.Errorf("its command line has -d %q, want %q once", got, v.Device))
	}
	for _, e := range c.Env {
		if e.Name == "HETEROACCEL_DEVICE" && e.Value != v.Device {
			wrong = append(wrong, fmt.Errorf("HETEROACCEL_DEVICE is %s, want %s", e.Value, v.Device))
		}
	}
	if err := errors.Join(wrong...); err != nil {
		return fmt.Errorf("pod %s/%s was given %s: %w", pod.Namespace, pod.Name, kind, err)
	}
	return nil
}

// variantOf is a kind's, nil if there is none.
func variantOf(variants []v1alpha1.Variant, kind string) *v1alpha1.Variant {
	i := slices.IndexFunc(variants, func(v v1alpha1.Variant) bool { return v.Accelerator == kind })
	if i < 0 {
		return nil
	}
	return &variants[i]
}

// flags are the values of -d in a command line, of words or of a shell's text.
func flags(c corev1.Container) (values []string) {
	words := strings.Fields(strings.Join(slices.Concat(c.Command, c.Args), " "))
	for i, w := range words {
		if w == "-d" && i+1 < len(words) {
			values = append(values, strings.Trim(words[i+1], `"'`))
		}
	}
	return values
}

// Devices are how many of each resource of devices the pods of each node hold, those
// that have ended left out.
func Devices(pods []*corev1.Pod) map[string]map[corev1.ResourceName]int64 {
	held := map[string]map[corev1.ResourceName]int64{}
	for _, p := range pods {
		if p.Spec.NodeName == "" || p.Status.Phase == corev1.PodSucceeded || p.Status.Phase == corev1.PodFailed {
			continue
		}
		if held[p.Spec.NodeName] == nil {
			held[p.Spec.NodeName] = map[corev1.ResourceName]int64{}
		}
		for _, c := range p.Spec.Containers {
			for name, amount := range c.Resources.Limits {
				if accel.IsDeviceResource(name) {
					held[p.Spec.NodeName][name] += amount.Value()
				}
			}
		}
	}
	return held
}

// Twice are the nodes whose pods hold more devices than there are.
func Twice(nodes []corev1.Node, pods []*corev1.Pod) (found []string) {
	held := Devices(pods)
	for _, n := range nodes {
		for name, amount := range held[n.Name] {
			if has := n.Status.Capacity[name]; amount > has.Value() {
				found = append(found, fmt.Sprintf("pods of node %s hold %d of its %d %s", n.Name, amount, has.Value(), name))
			}
		}
	}
	slices.Sort(found)
	return found
}

// Idle are the tries that the scheduler would grant of a pod that may be placed on
// every node: a kind that the pod may have and the node where a device of it is free.
// CPUs are left out.
func Idle(kinds []accel.Kind, variants []v1alpha1.Variant, nodes []corev1.Node, pods []*corev1.Pod) (tries []Try) {
	held := Devices(pods)
	for _, v := range variants {
		if !slices.Contains(kinds, accel.Kind(v.Accelerator)) {
			continue
		}
		for name, wants := range v.Limits {
			if !accel.IsDeviceResource(name) {
				continue
			}
			for _, n := range nodes {
				if has := n.Status.Allocatable[name]; !n.Spec.Unschedulable && has.Value()-held[n.Name][name] >= wants.Value() {
					tries = append(tries, Try{Kind: accel.Kind(v.Accelerator), Node: n.Name})
				}
			}
		}
	}
	return tries
}

// StuckBeside says of the pods that wait which are stuck beside an idle device, though
// nothing that holds their own ends by itself.
func StuckBeside(pods []*corev1.Pod, kinds func(*corev1.Pod) []accel.Kind, variants []v1alpha1.Variant, nodes []corev1.Node) (stuck []*Wait) {
	for _, p := range pods {
		if !ledger.Waiting(p) {
			continue
		}
		w := &Wait{
			Pod: p.Namespace + "/" + p.Name, Owner: p.Name, Own: accel.Kind(p.Annotations[accel.SelectedAnnotation]),
			Since: p.CreationTimestamp.Time, Reason: p.Annotations[accel.ReasonAnnotation],
			Tries: Idle(kinds(p), variants, nodes, pods),
		}
		if w.Verdict() == Stuck {
			stuck = append(stuck, w)
		}
	}
	return stuck
}
