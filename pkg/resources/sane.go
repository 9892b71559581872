package resources

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
)

// maxExponent is the largest power of ten that a quantity may be written with.
// Kubernetes adds and compares quantities digit by digit: with an exponent of a million
// that takes a second, with one of a thousand million all memory that there is.
const maxExponent = 36

// excessive reports whether a quantity has a larger exponent. It does no arithmetic:
// AsDec only takes the digits and the exponent apart.
func excessive(q resource.Quantity) bool { return q.AsDec().Scale() < -maxExponent }

// Excessive is an error for the person who wrote a pod with an amount whose exponent is
// too large for arithmetic, nil for other pods.
func Excessive(spec *corev1.PodSpec) error {
	return eachList(spec, func(of string, list corev1.ResourceList) error {
		for name, q := range list {
			if excessive(q) {
				return fmt.Errorf("%s: the amount of %.80q has an exponent above %d: write one such as 2, 500m or 4Gi", of, name, maxExponent)
			}
		}
		return nil
	})
}

// Sane returns a pod to whose amounts others can be added: itself, or a copy that
// has Max, or 0, instead of amounts that are excessive. The API server accepts those.
func Sane(pod *corev1.Pod) *corev1.Pod {
	if Excessive(&pod.Spec) == nil && !excessiveStatus(pod) {
		return pod
	}
	pod = pod.DeepCopy()
	bound := func(list corev1.ResourceList) {
		for name, q := range list {
			if !excessive(q) {
				continue
			}
			amount := int64(0)
			if q.Sign() > 0 {
				amount = Max
			}
			list[name] = *resource.NewQuantity(amount, resource.DecimalSI)
		}
	}
	_ = eachList(&pod.Spec, func(_ string, list corev1.ResourceList) error { bound(list); return nil })
	eachStatus(pod, bound)
	return pod
}

// eachList calls f with every list of amounts of a pod's spec, until one is an
// error; of says whose list it is.
func eachList(spec *corev1.PodSpec, f func(of string, list corev1.ResourceList) error) error {
	both := func(of string, r *corev1.ResourceRequirements) error {
		if err := f(of, r.Limits); err != nil {
			return err
		}
		return f(of, r.Requests)
	}
	for _, containers := range [][]corev1.Container{spec.InitContainers, spec.Containers} {
		for i := range containers {
			if err := both(fmt.Sprintf("container %.63q", containers[i].Name), &containers[i].Resources); err != nil {
				return err
			}
		}
	}
	if spec.Resources != nil {
		if err := both("the pod's resources", spec.Resources); err != nil {
			return err
		}
	}
	return f("the pod's overhead", spec.Overhead)
}

// eachStatus calls f with every list of amounts of a pod's status.
func eachStatus(pod *corev1.Pod, f func(corev1.ResourceList)) {
	for _, statuses := range [][]corev1.ContainerStatus{pod.Status.InitContainerStatuses, pod.Status.ContainerStatuses} {
		for i := range statuses {
			f(statuses[i].AllocatedResources)
			if r := statuses[i].Resources; r != nil {
				f(r.Limits)
				f(r.Requests)
			}
		}
	}
	f(pod.Status.AllocatedResources)
	if r := pod.Status.Resources; r != nil {
		f(r.Limits)
		f(r.Requests)
	}
}

func excessiveStatus(pod *corev1.Pod) (found bool) {
	eachStatus(pod, func(list corev1.ResourceList) {
		for _, q := range list {
			found = found || excessive(q)
		}
	})
	return found
}
