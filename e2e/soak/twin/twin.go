// Package twin makes the pod that a person would have written by hand for one
// kind of accelerator, in the place of a pod of ours.
//
// An owner's template, a pod of its as it stands in the API server, and a
// profile's variant enter; a pod leaves about which the API server and the
// scheduler can be asked. Nothing of the webhook's doing goes into it but what
// stands in the pod for reasons of Kubernetes' own: labels, claims, and the
// node of a DaemonSet's.
package twin

import (
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	resourcehelper "k8s.io/component-helpers/resource"

	"heteroaccel.io/pkg/accel"
	"heteroaccel.io/pkg/profile/v1alpha1"
)

// Label marks a twin.
const Label = "soak/twin"

// Pinned is a pod of a template with a variant written into it by hand: image,
// limits, device, and all else the variant brings. None of our annotations is
// on it, so the webhook is not asked about it.
func Pinned(template *corev1.PodTemplateSpec, container string, v v1alpha1.Variant) *corev1.Pod {
	t := template.DeepCopy()
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{GenerateName: "twin-", Labels: maps.Clone(t.Labels), Annotations: map[string]string{}},
		Spec:       t.Spec,
	}
	if pod.Labels == nil {
		pod.Labels = map[string]string{}
	}
	pod.Labels[Label] = strings.ToLower(v.Accelerator)
	i := slices.IndexFunc(pod.Spec.Containers, func(c corev1.Container) bool { return c.Name == container })
	if i < 0 {
		i = 0
	}
	pin(&pod.Spec.Containers[i], v)
	pod.Spec.Volumes = append(pod.Spec.Volumes, v.Volumes...)
	if len(v.SupplementalGroups) > 0 {
		if pod.Spec.SecurityContext == nil {
			pod.Spec.SecurityContext = &corev1.PodSecurityContext{}
		}
		pod.Spec.SecurityContext.SupplementalGroups = append(pod.Spec.SecurityContext.SupplementalGroups, v.SupplementalGroups...)
	}
	pod.Spec.Tolerations = append(pod.Spec.Tolerations, v.Tolerations...)
	pod.Spec.NodeSelector = merged(pod.Spec.NodeSelector, v.Selector())
	return pod
}

// pin writes a variant into a container. For the CPU what it limits is the
// least that is requested; beside a device, a limit of the user's stays.
func pin(c *corev1.Container, v v1alpha1.Variant) {
	c.Image = v.Image
	for i := range c.Command {
		if c.Command[i] == "-d" && i+1 < len(c.Command) {
			c.Command[i+1] = v.Device
		}
	}
	c.Args = append(c.Args, v.Args...)
	c.Env = append(c.Env, v.Env...)
	c.VolumeMounts = append(c.VolumeMounts, v.VolumeMounts...)
	if c.Resources.Limits == nil {
		c.Resources.Limits = corev1.ResourceList{}
	}
	if c.Resources.Requests == nil {
		c.Resources.Requests = corev1.ResourceList{}
	}
	for name, amount := range v.Limits {
		limit, limited := c.Resources.Limits[name]
		request, requested := c.Resources.Requests[name]
		switch {
		case accel.IsDeviceResource(name):
			limit, request = amount, amount
		case name == corev1.ResourceCPU && v.Accelerator == string(accel.CPU):
			request = larger(amount, request)
			limit = larger(request, limit)
		default:
			if !limited {
				limit = larger(amount, request)
			}
			if !requested {
				request = smaller(amount, limit)
			}
		}
		c.Resources.Limits[name], c.Resources.Requests[name] = limit, request
	}
}

func larger(a, b resource.Quantity) resource.Quantity {
	if a.Cmp(b) >= 0 {
		return a
	}
	return b
}

func smaller(a, b resource.Quantity) resource.Quantity {
	if a.Cmp(b) <= 0 {
		return a
	}
	return b
}

func merged(a, b map[string]string) map[string]string {
	if len(b) == 0 {
		return a
	}
	if a = maps.Clone(a); a == nil {
		a = map[string]string{}
	}
	maps.Copy(a, b)
	return a
}

// Of is the twin of a pod that waits: the scheduler's verdict on it is about
// the pod in its own place. It has the pod's labels, so that whatever keeps
// apart from the pod, or counts it, does so with the twin; its claims; and
// where it is tied to. It has the lowest priority, so that it takes nothing
// from anybody, and holder for a controller: no controller whose selector
// matches adopts it.
func Of(live *corev1.Pod, template *corev1.PodTemplateSpec, container string, v v1alpha1.Variant, class string, holder metav1.OwnerReference) *corev1.Pod {
	pod := Pinned(template, container, v)
	pod.Namespace = live.Namespace
	pod.OwnerReferences = []metav1.OwnerReference{holder}
	labels := maps.Clone(live.Labels)
	labels[Label] = pod.Labels[Label]
	pod.Labels = labels
	pod.Spec.PriorityClassName = class
	pod.Spec.TerminationGracePeriodSeconds = new(int64(0))
	if live.Spec.Affinity != nil {
		pod.Spec.Affinity = live.Spec.Affinity.DeepCopy()
	}
	for _, t := range live.Spec.Tolerations {
		if !slices.Contains(pod.Spec.Tolerations, t) {
			pod.Spec.Tolerations = append(pod.Spec.Tolerations, t)
		}
	}
	// A StatefulSet adds its claims to the pod, not to the template.
	for _, volume := range live.Spec.Volumes {
		if volume.PersistentVolumeClaim == nil {
			continue
		}
		if !slices.ContainsFunc(pod.Spec.Volumes, func(v corev1.Volume) bool { return v.Name == volume.Name }) {
			pod.Spec.Volumes = append(pod.Spec.Volumes, volume)
		}
	}
	return pod
}

// Charge is what a pod takes of a quota: of each resource that hard limits,
// how much the quota counts for the pod. Quotas with scopes are not known here.
func Charge(pod *corev1.Pod, hard corev1.ResourceList) corev1.ResourceList {
	requests := resourcehelper.PodRequests(pod, resourcehelper.PodResourcesOptions{})
	limits := resourcehelper.PodLimits(pod, resourcehelper.PodResourcesOptions{})
	charge := corev1.ResourceList{}
	for name := range hard {
		var amount resource.Quantity
		switch plain, of, _ := strings.Cut(string(name), "."); {
		case name == corev1.ResourcePods || name == "count/pods":
			amount = resource.MustParse("1")
		case plain == "requests":
			amount = requests[corev1.ResourceName(of)]
		case plain == "limits":
			amount = limits[corev1.ResourceName(of)]
		default:
			amount = requests[name]
		}
		if !amount.IsZero() {
			charge[name] = amount
		}
	}
	return charge
}
