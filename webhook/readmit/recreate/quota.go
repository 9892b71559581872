package recreate

import (
	"errors"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	resourcehelper "k8s.io/component-helpers/resource"
)

// onlyUntilGone reports whether a pod was refused only because a quota still
// counts the one before it. The quota plugin runs last, so all others have
// admitted the pod.
func onlyUntilGone(err error, old *corev1.Pod) bool {
	var status apierrors.APIStatus
	if !apierrors.IsForbidden(err) || !errors.As(err, &status) {
		return false
	}
	excess, ok := excessOf(status.Status().Message)
	if !ok {
		return false
	}
	for name, over := range excess {
		used := usageOf(old, name)
		if used.Cmp(over) < 0 {
			return false
		}
	}
	return true
}

// excessOf is by how much each resource exceeds its quota, by the message of the
// quota's admission plugin (plugin/pkg/admission/resourcequota of Kubernetes):
//
//	exceeded quota: NAME, requested: a=1,b=2, used: a=3,b=4, limited: a=3,b=4
//
// ok is false for any other message.
func excessOf(message string) (excess map[corev1.ResourceName]resource.Quantity, ok bool) {
	_, message, found := strings.Cut(message, "exceeded quota: ")
	if !found || strings.Contains(message, "exceeded quota: ") {
		return nil, false
	}
	requested, okR := amountsIn(message, ", requested: ", ", used: ")
	used, okU := amountsIn(message, ", used: ", ", limited: ")
	limited, okL := amountsIn(message, ", limited: ", "")
	if !okR || !okU || !okL {
		return nil, false
	}
	excess = map[corev1.ResourceName]resource.Quantity{}
	for name, over := range requested {
		over.Add(used[name])
		over.Sub(limited[name])
		if over.Sign() > 0 {
			excess[name] = over
		}
	}
	return excess, len(excess) > 0
}

// amountsIn reads the amounts between two parts of a message, to its end where
// there is no second one.
func amountsIn(s, from, to string) (corev1.ResourceList, bool) {
	_, list, ok := strings.Cut(s, from)
	if ok && to != "" {
		list, _, ok = strings.Cut(list, to)
	}
	amounts := corev1.ResourceList{}
	for item := range strings.SplitSeq(list, ",") {
		name, amount, paired := strings.Cut(item, "=")
		q, err := resource.ParseQuantity(amount)
		if !paired || err != nil {
			return nil, false
		}
		amounts[corev1.ResourceName(name)] = q
	}
	return amounts, ok
}

// usageOf is what a quota counts of a pod for one resource.
func usageOf(pod *corev1.Pod, name corev1.ResourceName) resource.Quantity {
	switch name {
	case corev1.ResourcePods, "count/pods":
		return resource.MustParse("1")
	}
	if limited, ok := strings.CutPrefix(string(name), "limits."); ok {
		return resourcehelper.PodLimits(pod, resourcehelper.PodResourcesOptions{})[corev1.ResourceName(limited)]
	}
	requested := strings.TrimPrefix(string(name), corev1.DefaultResourceRequestsPrefix)
	return resourcehelper.PodRequests(pod, resourcehelper.PodResourcesOptions{})[corev1.ResourceName(requested)]
}
