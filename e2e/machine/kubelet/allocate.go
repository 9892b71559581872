package kubelet

import (
	"cmp"
	"maps"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"heteroaccel.io/e2e/machine"
)

// slot is one id of a device: what one container may hold.
type slot struct {
	resource string
	id       string
	numa     int
}

// holding is what a pod's containers hold, by container name. It stays as it
// is for the pod's life, also when a device turns unhealthy meanwhile.
type holding map[string][]slot

// allocate brings held up to date with the pods on the node: what pods held
// that ended or went is free, and pods without a holding get slots of the
// healthy devices, first bound first. A pod gets all it asks for or nothing.
// resources are those that the machine has devices of, healthy or not.
func allocate(held map[types.UID]holding, pods []*corev1.Pod, resources []string, healthy []machine.Device) {
	active := map[types.UID]bool{}
	for _, pod := range pods {
		active[pod.UID] = true
	}
	maps.DeleteFunc(held, func(uid types.UID, _ holding) bool { return !active[uid] })

	taken := map[slot]bool{}
	for _, h := range held {
		for _, slots := range h {
			for _, s := range slots {
				taken[s] = true
			}
		}
	}
	free := map[string][]slot{}
	for _, name := range resources {
		free[name] = nil
	}
	for _, d := range healthy {
		for _, id := range d.IDs {
			if s := (slot{d.Resource, id, d.NUMA}); !taken[s] {
				free[d.Resource] = append(free[d.Resource], s)
			}
		}
	}
	for _, pod := range byArrival(pods) {
		if _, ok := held[pod.UID]; !ok {
			if h, ok := admit(pod, free); ok {
				held[pod.UID] = h
			}
		}
	}
}

// admit takes what the pod's containers ask for from free; ok is false, and
// free as before, when there is not enough.
func admit(pod *corev1.Pod, free map[string][]slot) (h holding, ok bool) {
	left := maps.Clone(free)
	h = holding{}
	for _, c := range containers(pod) {
		for _, name := range slices.Sorted(maps.Keys(c.Resources.Limits)) {
			amount := c.Resources.Limits[name]
			slots, n := left[string(name)], int(amount.Value())
			if !isDevice(name) || n == 0 {
				continue
			}
			if len(slots) < n {
				// A resource the machine does not list is none of the
				// device manager's business, as in the kubelet.
				if _, known := free[string(name)]; !known {
					continue
				}
				return nil, false
			}
			h[c.Name] = append(h[c.Name], slots[:n]...)
			left[string(name)] = slots[n:]
		}
	}
	maps.Copy(free, left)
	return h, true
}

// containers are those that PodResources lists: the regular ones and the
// sidecars. Init containers hand their devices on to the regular ones.
func containers(pod *corev1.Pod) []corev1.Container {
	var list []corev1.Container
	for _, c := range pod.Spec.InitContainers {
		if c.RestartPolicy != nil && *c.RestartPolicy == corev1.ContainerRestartPolicyAlways {
			list = append(list, c)
		}
	}
	return append(list, pod.Spec.Containers...)
}

// active are the pods whose containers still hold what they were given.
func active(pods []*corev1.Pod) []*corev1.Pod {
	return slices.DeleteFunc(slices.Clone(pods), func(pod *corev1.Pod) bool {
		return pod.Status.Phase == corev1.PodSucceeded || pod.Status.Phase == corev1.PodFailed
	})
}

// byArrival sorts pods by the time they were bound, then by name.
func byArrival(pods []*corev1.Pod) []*corev1.Pod {
	bound := func(pod *corev1.Pod) int64 {
		for _, c := range pod.Status.Conditions {
			if c.Type == corev1.PodScheduled {
				return c.LastTransitionTime.Unix()
			}
		}
		return pod.CreationTimestamp.Unix()
	}
	return slices.SortedFunc(slices.Values(pods), func(a, b *corev1.Pod) int {
		return cmp.Or(cmp.Compare(bound(a), bound(b)),
			cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Name, b.Name))
	})
}
