package podapi

import (
	"errors"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
)

// Excess is by how much each resource exceeds its quota where a quota, and nothing else,
// refused something: its admission plugin runs last. It is read from the plugin's message
// (plugin/pkg/admission/resourcequota of Kubernetes):
//
//	exceeded quota: NAME, requested: a=1,b=2, used: a=3,b=4, limited: a=3,b=4
//
// ok is false for any other error.
func Excess(err error) (excess map[corev1.ResourceName]resource.Quantity, ok bool) {
	var status apierrors.APIStatus
	if !apierrors.IsForbidden(err) || !errors.As(err, &status) {
		return nil, false
	}
	_, message, found := strings.Cut(status.Status().Message, "exceeded quota: ")
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
