package admission

import (
	"cmp"
	"fmt"
	"maps"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/resource"
)

// LimitRange is what is kept of a LimitRange: its limits for containers and pods.
// LimitRangeOf reads it; it is immutable.
type LimitRange struct {
	Namespace, Name string
	items           []corev1.LimitRangeItem
}

// LimitRangeOf reads a LimitRange of the API server, which has set its defaults.
func LimitRangeOf(l *corev1.LimitRange) *LimitRange {
	r := &LimitRange{Namespace: l.Namespace, Name: l.Name}
	for i := range l.Spec.Limits {
		if item := &l.Spec.Limits[i]; item.Type == corev1.LimitTypeContainer || item.Type == corev1.LimitTypePod {
			r.items = append(r.items, *item.DeepCopy())
		}
	}
	return r
}

func (l *LimitRange) equal(o *LimitRange) bool { return equality.Semantic.DeepEqual(l.items, o.items) }

// limitRangeRefusal says which limit of a namespace's LimitRanges a pod violates
// first, in the API server's words; "" for none. It does what the LimitRanger
// plugin does (plugin/pkg/admission/limitranger of Kubernetes), which sets
// defaults once more after all webhooks, and then validates.
func limitRangeRefusal(ranges []*LimitRange, pod *corev1.Pod) string {
	if len(ranges) == 0 {
		return ""
	}
	containers := withDefaults(ranges, pod)
	// The API server first checks that containers are valid with defaults.
	for i := range containers {
		if why := containers[i].contradiction(); why != "" {
			return why
		}
	}
	whole := wholePod(containers, pod)
	for _, l := range ranges {
		for i := range l.items {
			item := &l.items[i]
			subjects := containers
			if item.Type == corev1.LimitTypePod {
				subjects = []subject{whole}
			}
			for j := range subjects {
				if why := subjects[j].violates(item); why != "" {
					return fmt.Sprintf("LimitRange %s: %s", l.Name, why)
				}
			}
		}
	}
	return ""
}

// violates says which bound of an item the subject violates first, by the order of
// bounds and the names of resources; "" for none.
func (s *subject) violates(item *corev1.LimitRangeItem) string {
	for _, bound := range []struct {
		of    corev1.ResourceList
		check func(string, corev1.ResourceName, resource.Quantity, *resource.Quantity, *resource.Quantity) string
	}{
		{item.Min, belowMin}, {item.Max, aboveMax}, {item.MaxLimitRequestRatio, aboveRatio},
	} {
		for _, name := range slices.Sorted(maps.Keys(bound.of)) {
			if s.unknown[name] {
				continue
			}
			if why := bound.check(string(item.Type), name, bound.of[name], amount(s.requests, name), amount(s.limits, name)); why != "" {
				return why
			}
		}
	}
	return ""
}

// amount is a list's amount of a resource, nil for none.
func amount(list corev1.ResourceList, name corev1.ResourceName) *resource.Quantity {
	if q, ok := list[name]; ok {
		return &q
	}
	return nil
}

func belowMin(of string, name corev1.ResourceName, bound resource.Quantity, request, limit *resource.Quantity) string {
	says := fmt.Sprintf("minimum %s usage per %s is %s", name, of, bound.String())
	switch {
	case request == nil:
		return says + ".  No request is specified"
	case compare(*request, limit, bound) < 0:
		return fmt.Sprintf("%s, but request is %s", says, request)
	case limit != nil && compare(*limit, request, bound) < 0:
		return fmt.Sprintf("%s, but limit is %s", says, limit)
	}
	return ""
}

func aboveMax(of string, name corev1.ResourceName, bound resource.Quantity, request, limit *resource.Quantity) string {
	says := fmt.Sprintf("maximum %s usage per %s is %s", name, of, bound.String())
	switch {
	case limit == nil:
		return says + ".  No limit is specified"
	case compare(*limit, request, bound) > 0:
		return fmt.Sprintf("%s, but limit is %s", says, limit)
	case request != nil && compare(*request, limit, bound) > 0:
		return fmt.Sprintf("%s, but request is %s", says, request)
	}
	return ""
}

func aboveRatio(of string, name corev1.ResourceName, bound resource.Quantity, request, limit *resource.Quantity) string {
	says := fmt.Sprintf("%s max limit to request ratio per %s is %s", name, of, bound.String())
	switch {
	case request == nil || request.IsZero():
		return says + ", but no request is specified or request is 0"
	case limit == nil || limit.IsZero():
		return says + ", but no limit is specified or limit is 0"
	}
	l, r := float64(limit.Value()), float64(request.Value())
	if inMilli(*limit) && inMilli(*request) {
		l, r = float64(limit.MilliValue()), float64(request.MilliValue())
	}
	ratio := l / r
	maxRatio, scaled := float64(bound.Value()), ratio
	if inMilli(bound) {
		maxRatio, scaled = float64(bound.MilliValue()), ratio*1000
	}
	if scaled > maxRatio {
		return fmt.Sprintf("%s, but provided ratio is %f", says, ratio)
	}
	return ""
}

// compare compares an amount with a bound as the plugin does: in thousandths if
// both, and the other amount, are small enough, else in whole units, rounded up.
func compare(q resource.Quantity, other *resource.Quantity, bound resource.Quantity) int {
	if inMilli(q) && inMilli(bound) && (other == nil || inMilli(*other)) {
		return cmp.Compare(q.MilliValue(), bound.MilliValue())
	}
	return cmp.Compare(q.Value(), bound.Value())
}

// inMilli reports whether an amount is small enough to count in thousandths.
func inMilli(q resource.Quantity) bool { return q.Value() <= resource.MaxMilliValue }
